"""The operations of the French register (SIV and FNI), and what each does to a title.

The register's own code is always kept beside; a code that is not known here is an operation nevertheless. It refuses to
know which file tells of them.
"""

from __future__ import annotations

_CODES = {
    "first_registration": "IMMAT_NORMALE IMMAT_NORMALE_SOURCE_INCERTAINE IVN_CARROSSIER_QUALIFIE",
    # A used vehicle comes onto this register: from abroad, from the army, from another series.
    "re_registered": "IMMAT_NORMALE_PREM_VO IMMAT_DIPLO_PREM_VO_CONF",
    "registered_abroad": "IMMAT_NORMALE_PREM_ETRANGER REIMMAT_ETRANGER",
    "change_of_holder": (
        "CHANG_TIT_NORMAL CHANG_TIT_PREDEMANDE_INTERNET CHANG_TIT_DIPLO CHANG_TIT_NORMAL_CVN CHANG_TIT_DIPLO_CVN"
    ),
    "sale_declared": "DECLARATION_CESSION DECLARATION_CESSION_DGME",
    "purchase_declared": "DECLARATION_ACHAT",
    "address_changed": "MODIF_ADRESSE MODIF_ADRESSE_DGME MODIF_ADRESSE_LOCATAIRE_PRO MODIF_ADRESSE_CVN",
    # The conversion of an FNI file gives the vehicle a number of the SIV.
    "plate_changed": "ATT_NUM_USURPATION CONVERSION_DOSSIER_FNI",
    "usage_changed": "MODIFIER_USAGES FIN_USAGE_DEMO_VENTE FIN_USAGE_DEMO_FINDEM PROROG_USAGE",
    "lien_registered": "INSCRIPTION_GAGE",
    "lien_transferred": "CESSION_GAGE",
    "lien_extended": "PROROG_GAGE",
    "lien_lifted": "RADIATION_GAGE",
    "opposition_registered": "INSCRIRE_OTCI INSCRIRE_OPPOSITION INSCRIRE_OVE",
    "opposition_lifted": "LEVER_OTCI LEVER_OPPOSITION LEVER_OVE",
    "seizure_registered": "INSCRIRE_DVS RENOUV_DVS",
    "seizure_lifted": "LEVER_DVS",
    "immobilised": "IMMOBILISATION_VEHICULE IMMOBILISATION_VEHICULE_ADM",
    "immobilisation_lifted": "LEVEE_IMMOBILISATION_VEHICULE",
    "title_lost": "DECLARATION_PERTE_TITRE",
    "duplicate_title": "DUPLICATA",
    "exported": "SORTIE_TERRITOIRE",
    "withdrawn": "RETRAIT_VOLONTAIRE",
    "returned_to_traffic": "RETOUR_REIMMAT_ETR REMISE_CIRC_RETRAIT_VOL REMISE_CIRC_SORTIE_TERR",
    "destruction_declared": "DECLARATION_DESTRUCTION",
    "destroyed": "DESTRUCTION_VEHICULE",
    "corrected": "CORRECTION_DOSSIER CORRECTION_SIT_ADMIN CORRECTION_TITULAIRE CORRECTION_VEHICULE CORRECTION_TITRE",
}
_TYPE_OF = {code: type_ for type_, codes in _CODES.items() for code in codes.split()}

PROCEDURE_STEPS = {"DEC_VE": "opened", "PREM_RAP_VE": "first_report", "SEC_RAP_VE": "second_report"}
"""The steps of the controlled-repair procedure: they tell of a damage, not of a title."""

# Three letters, as a part of the files writes a country; of the others the files have none.
_ALPHA_3 = (
    "aut:AT bel:BE bgr:BG che:CH cze:CZ deu:DE dnk:DK esp:ES est:EE fin:FI fra:FR gbr:GB grc:GR hrv:HR hun:HU irl:IE "
    "ita:IT ltu:LT lux:LU lva:LV maf:MF mco:MC nld:NL nor:NO pol:PL prt:PT rou:RO svk:SK svn:SI swe:SE usa:US"
)
_COUNTRY_OF = dict(pair.split(":") for pair in _ALPHA_3.split())
# XX stands for "unknown"; SZ, which the files translate as Swaziland, is its alpha-2 code.
_NO_COUNTRY = ("XX", "ZZ")


def get_title_type(code: str) -> str:
    """What an operation does to the title, in the words of vehicle.title/1; "other" where it is not known here."""
    return _TYPE_OF.get(code, "other")


def find_country(text: str | None) -> str | None:
    """The ISO 3166-1 code of a country that is written with two letters, or with three as the older files do."""
    if not text:
        return None
    code = _COUNTRY_OF.get(text.lower(), text)
    return code if len(code) == 2 and code.isascii() and code.isupper() and code not in _NO_COUNTRY else None
