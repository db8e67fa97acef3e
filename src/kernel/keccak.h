/* Keccak-f[1600] (FIPS 202, 3.2 and 3.3) of lanes of the type LANE, which may be several in a vector, as the function
   PERMUTE with the attributes WITH. To be included once for each type. */

#define ROTATE(lane, by) ((by) ? (lane) << (by) | (lane) >> ((64 - (by)) & 63) : (lane))

/* One row of a round: rho and pi bring five lanes together, each with its column's parity (theta); chi mixes them.
   What stands where is written out, so that all of it stays in registers. */
#define ROW(to, a, ra, b, rb, c, rc, d, rd, e, re)                                        \
    do {                                                                                  \
        LANE v0 = ROTATE(from[a] ^ mixed[a % 5], ra), v1 = ROTATE(from[b] ^ mixed[b % 5], rb); \
        LANE v2 = ROTATE(from[c] ^ mixed[c % 5], rc), v3 = ROTATE(from[d] ^ mixed[d % 5], rd); \
        LANE v4 = ROTATE(from[e] ^ mixed[e % 5], re);                                 \
        into[to] = v0 ^ (~v1 & v2), into[to + 1] = v1 ^ (~v2 & v3), into[to + 2] = v2 ^ (~v3 & v4); \
        into[to + 3] = v3 ^ (~v4 & v0), into[to + 4] = v4 ^ (~v0 & v1);                   \
    } while (0)

WITH static void PERMUTE(LANE lanes[25]) {
    LANE others[25], *from = lanes, *into = others;
#pragma GCC unroll 2
    for (int round = 0; round < 24; round++) {
        LANE column[5], mixed[5], *before = from;
        for (int x = 0; x < 5; x++) column[x] = from[x] ^ from[x + 5] ^ from[x + 10] ^ from[x + 15] ^ from[x + 20];
        for (int x = 0; x < 5; x++) mixed[x] = column[(x + 4) % 5] ^ ROTATE(column[(x + 1) % 5], 1);
        ROW(0, 0, 0, 6, 44, 12, 43, 18, 21, 24, 14);
        ROW(5, 3, 28, 9, 20, 10, 3, 16, 45, 22, 61);
        ROW(10, 1, 1, 7, 6, 13, 25, 19, 8, 20, 18);
        ROW(15, 4, 27, 5, 36, 11, 10, 17, 15, 23, 56);
        ROW(20, 2, 62, 8, 55, 14, 39, 15, 41, 21, 2);
        into[0] ^= IOTA[round];
        from = into, into = before;
    }
}

#undef ROTATE
#undef ROW
#undef LANE
#undef PERMUTE
#undef WITH
