/* SHA-256 and ChaCha20 over a buffer: rotations, additions, exclusive ors. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 1 << 14 };
static uint32_t text[N], stream[16], state[8];

static uint32_t right(uint32_t x, int n) { return x >> n | x << (32 - n); }
static uint32_t left(uint32_t x, int n) { return x << n | x >> (32 - n); }

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static void sha256(const uint32_t *block) {
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++) w[i] = block[i];
    for (int i = 16; i < 64; i++) {
        uint32_t a = right(w[i - 15], 7) ^ right(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t b = right(w[i - 2], 17) ^ right(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    for (int i = 0; i < 8; i++) v[i] = state[i];
    for (int i = 0; i < 64; i++) {
        uint32_t e = right(v[4], 6) ^ right(v[4], 11) ^ right(v[4], 25), a = right(v[0], 2) ^ right(v[0], 13) ^ right(v[0], 22);
        uint32_t t = v[7] + e + ((v[4] & v[5]) ^ (~v[4] & v[6])) + K[i] + w[i];
        uint32_t u = a + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        for (int k = 7; k > 0; k--) v[k] = v[k - 1];
        v[4] += t;
        v[0] = t + u;
    }
    for (int i = 0; i < 8; i++) state[i] += v[i];
}

#define QUARTER(a, b, c, d)                                                                                                     \
    (x[a] += x[b], x[d] = left(x[d] ^ x[a], 16), x[c] += x[d], x[b] = left(x[b] ^ x[c], 12), x[a] += x[b],                      \
     x[d] = left(x[d] ^ x[a], 8), x[c] += x[d], x[b] = left(x[b] ^ x[c], 7))

static void chacha20(uint32_t *block) {
    uint32_t x[16];
    for (int i = 0; i < 16; i++) x[i] = stream[i];
    for (int i = 0; i < 10; i++) {
        QUARTER(0, 4, 8, 12);
        QUARTER(1, 5, 9, 13);
        QUARTER(2, 6, 10, 14);
        QUARTER(3, 7, 11, 15);
        QUARTER(0, 5, 10, 15);
        QUARTER(1, 6, 11, 12);
        QUARTER(2, 7, 8, 13);
        QUARTER(3, 4, 9, 14);
    }
    for (int i = 0; i < 16; i++) block[i] ^= x[i] + stream[i];
    stream[12]++;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 100;
    for (int i = 0; i < 16; i++) stream[i] = 0x9e3779b9u * (uint32_t)(i + 1);
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < N; i += 16) {
            chacha20(text + i);
            sha256(text + i);
        }
    printf("%08x%08x\n", state[0], state[7]);
}
