// Command crosscheck answers, with Go's own transparency-log packages, whether what Carnet made is sound, and makes the
// same things for Carnet to judge. It reads one JSON request on standard input and writes one JSON answer; it holds no
// state and knows nothing of vehicles. It shares no code with Carnet: that is its whole point.
package main

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// signedNote is a note with the one key that its reader trusts.
type signedNote struct {
	Note []byte `json:"note"`
	Key  string `json:"key"`
}

// inclusion says that Leaf is number Index of a tree.
type inclusion struct {
	Size  int64    `json:"size"`
	Root  []byte   `json:"root"`
	Index int64    `json:"index"`
	Leaf  []byte   `json:"leaf"`
	Path  [][]byte `json:"path"`
}

// consistency says that one tree is a prefix of another.
type consistency struct {
	OldSize int64    `json:"old_size"`
	OldRoot []byte   `json:"old_root"`
	NewSize int64    `json:"new_size"`
	NewRoot []byte   `json:"new_root"`
	Path    [][]byte `json:"path"`
}

type request struct {
	Notes         []signedNote  `json:"notes"`
	Inclusions    []inclusion   `json:"inclusions"`
	Consistencies []consistency `json:"consistencies"`
	// What Go is to make: a tree of these leaves, and notes over these texts under this name and seed.
	Leaves [][]byte `json:"leaves"`
	Texts  []string `json:"texts"`
	Name   string   `json:"name"`
	Seed   []byte   `json:"seed"`
}

type answer struct {
	// One per item of the request: the error, or an empty text where the item verifies.
	Notes         []string `json:"notes"`
	Inclusions    []string `json:"inclusions"`
	Consistencies []string `json:"consistencies"`

	MadeKey           string        `json:"made_key"`
	MadeNotes         []signedNote  `json:"made_notes"`
	MadeInclusions    []inclusion   `json:"made_inclusions"`
	MadeConsistencies []consistency `json:"made_consistencies"`
}

func main() {
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fail(err)
	}
	var out answer
	for _, item := range asked.Notes {
		out.Notes = append(out.Notes, verdict(checkNote(item)))
	}
	for _, item := range asked.Inclusions {
		proof := tlog.RecordProof(hashes(item.Path))
		err := tlog.CheckRecord(proof, item.Size, hash(item.Root), item.Index, tlog.RecordHash(item.Leaf))
		out.Inclusions = append(out.Inclusions, verdict(err))
	}
	for _, item := range asked.Consistencies {
		proof := tlog.TreeProof(hashes(item.Path))
		err := tlog.CheckTree(proof, item.NewSize, hash(item.NewRoot), item.OldSize, hash(item.OldRoot))
		out.Consistencies = append(out.Consistencies, verdict(err))
	}
	if asked.Seed != nil {
		makeNotes(asked, &out)
	}
	if err := makeProofs(asked.Leaves, &out); err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		fail(err)
	}
}

func checkNote(item signedNote) error {
	verifier, err := note.NewVerifier(item.Key)
	if err != nil {
		return err
	}
	_, err = note.Open(item.Note, note.VerifierList(verifier))
	return err
}

// seededSigner signs as note.NewSigner would, from a seed that both sides know.
type seededSigner struct {
	name   string
	keyID  uint32
	secret ed25519.PrivateKey
}

func (s seededSigner) Name() string                    { return s.name }
func (s seededSigner) KeyHash() uint32                 { return s.keyID }
func (s seededSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.secret, msg), nil }

func makeNotes(asked request, out *answer) {
	secret := ed25519.NewKeyFromSeed(asked.Seed)
	key, err := note.NewEd25519VerifierKey(asked.Name, secret.Public().(ed25519.PublicKey))
	if err != nil {
		fail(err)
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		fail(err)
	}
	out.MadeKey = key
	for _, text := range asked.Texts {
		signer := seededSigner{asked.Name, verifier.KeyHash(), secret}
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		if err != nil {
			fail(err)
		}
		out.MadeNotes = append(out.MadeNotes, signedNote{signed, key})
	}
}

// makeProofs grows a tree leaf by leaf, and makes every inclusion proof of it and a consistency proof from each older size.
func makeProofs(leaves [][]byte, out *answer) error {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			if index >= int64(len(stored)) {
				return nil, fmt.Errorf("no stored hash %d", index)
			}
			found[i] = stored[index]
		}
		return found, nil
	})
	roots := []tlog.Hash{{}}
	for i, leaf := range leaves {
		added, err := tlog.StoredHashes(int64(i), leaf, reader)
		if err != nil {
			return err
		}
		stored = append(stored, added...)
		root, err := tlog.TreeHash(int64(i)+1, reader)
		if err != nil {
			return err
		}
		roots = append(roots, root)
	}
	size := int64(len(leaves))
	for i, leaf := range leaves {
		proof, err := tlog.ProveRecord(size, int64(i), reader)
		if err != nil {
			return err
		}
		out.MadeInclusions = append(out.MadeInclusions, inclusion{size, bytesOf(roots[size]), int64(i), leaf, raw(proof)})
		old := int64(i) + 1
		older, err := tlog.ProveTree(size, old, reader)
		if err != nil {
			return err
		}
		out.MadeConsistencies = append(out.MadeConsistencies,
			consistency{old, bytesOf(roots[old]), size, bytesOf(roots[size]), raw(older)})
	}
	return nil
}

func hash(data []byte) (h tlog.Hash) {
	copy(h[:], data)
	return h
}

func hashes(path [][]byte) (list []tlog.Hash) {
	for _, item := range path {
		list = append(list, hash(item))
	}
	return list
}

func bytesOf(h tlog.Hash) []byte { return h[:] }

func raw(list []tlog.Hash) [][]byte {
	path := [][]byte{}
	for _, h := range list {
		path = append(path, append([]byte(nil), h[:]...))
	}
	return path
}

func verdict(err error) string {
	if err == nil {
		return ""
	}
	return strings.TrimSpace("refused: " + err.Error())
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
