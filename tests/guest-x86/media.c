/* Vector instructions in states that single random instructions do not meet: SSSE3 on MMX registers, and SSE3 and SSE4.1 under every
 * rounding, with the exceptions that they raise; and stores of bytes. */
#include <stdint.h>
#include <stdio.h>

static uint64_t state = 88172645463325252, hash = 0xcbf29ce484222325;

static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void mix(uint64_t value) {
    hash = (hash ^ value) * 0x100000001b3;
    hash ^= hash >> 29;
}

#define WITH_VECTORS __attribute__((target("mmx,sse2")))
#define MMX(name, instruction) \
    WITH_VECTORS static uint64_t mmx_##name(uint64_t a, uint64_t b) { \
        __asm__("movq %1, %%mm0\n\tmovq %2, %%mm1\n\t" instruction "\n\tmovq %%mm0, %0\n\temms" \
                : "=m"(a) \
                : "m"(a), "m"(b) \
                : "mm0", "mm1"); \
        return a; \
    }
#define MMX_TWO(name) MMX(name, #name " %%mm1, %%mm0")
#define EACH(does) \
    does(pshufb) does(phaddw) does(phaddd) does(phaddsw) does(pmaddubsw) does(phsubw) does(phsubd) does(phsubsw) \
        does(psignb) does(psignw) does(psignd) does(pmulhrsw) does(pabsb) does(pabsw) does(pabsd)
EACH(MMX_TWO)
MMX(palignr_3, "palignr $3, %%mm1, %%mm0")
MMX(palignr_11, "palignr $11, %%mm1, %%mm0")
MMX(palignr_200, "palignr $200, %%mm1, %%mm0")

typedef uint64_t (*two)(uint64_t, uint64_t);
#define NAME(name) mmx_##name,
static const two media[] = {EACH(NAME) mmx_palignr_3, mmx_palignr_11, mmx_palignr_200};

typedef struct {
    uint64_t half[2];
} __attribute__((aligned(16))) vector;

#define SSE(name, instruction) \
    WITH_VECTORS static uint32_t sse_##name(vector *a, const vector *b, uint32_t mode) { \
        uint32_t usual = 0x1f80; \
        __asm__("ldmxcsr %1\n\tmovaps %0, %%xmm0\n\t" instruction " %2, %%xmm0\n\tmovaps %%xmm0, %0\n\tstmxcsr %1\n\t" \
                "ldmxcsr %3" \
                : "+m"(*a), "+m"(mode) \
                : "m"(*b), "m"(usual) \
                : "xmm0"); \
        return mode; \
    }
SSE(haddps, "haddps")
SSE(haddpd, "haddpd")
SSE(hsubps, "hsubps")
SSE(addsubps, "addsubps")
SSE(addsubpd, "addsubpd")
SSE(roundps_mode, "roundps $4,")
SSE(roundpd_mode, "roundpd $12,")
SSE(roundss_up, "roundss $2,")
SSE(roundsd_down, "roundsd $9,")
SSE(dpps, "dpps $0xf5,")
SSE(dpps_part, "dpps $0x5f,")
SSE(dppd, "dppd $0x31,")

typedef uint32_t (*rounded)(vector *, const vector *, uint32_t);
static const rounded sse[] = {sse_haddps,       sse_haddpd,       sse_hsubps,     sse_addsubps, sse_addsubpd,  sse_roundps_mode,
                              sse_roundpd_mode, sse_roundss_up, sse_roundsd_down, sse_dpps,     sse_dpps_part, sse_dppd};

/* Numbers near 1, small and large ones: of singles in both halves. */
static uint64_t number(void) {
    uint64_t bits = next();
    switch (bits % 4) {
    case 0: return (bits & 0x800fffffffffffff) | 0x3ff0000000000000;
    case 1: return (bits & 0x80ffffff80ffffff) | 0x3f0000003f000000;
    case 2: return (bits & 0x87ffffff87ffffff) | 0x4000000040000000;
    default: return bits & 0xbfffffffbfffffff;
    }
}

/* Stores the bytes that the mask chooses, of 16 and of 8. */
WITH_VECTORS static void store_chosen(unsigned char *at, const vector *value, const vector *mask) {
    __asm__ volatile("movaps %1, %%xmm0\n\tmovaps %2, %%xmm1\n\tmaskmovdqu %%xmm1, %%xmm0"
                     :
                     : "D"(at), "m"(*value), "m"(*mask)
                     : "xmm0", "xmm1", "memory");
    __asm__ volatile("movq %1, %%mm0\n\tmovq %2, %%mm1\n\tmaskmovq %%mm1, %%mm0\n\temms"
                     :
                     : "D"(at + 5), "m"(*value), "m"(*mask)
                     : "mm0", "mm1", "memory");
}

static void stores(void) {
    unsigned char bytes[32] = {0};
    for (int k = 0; k < 400; k++) {
        vector value = {{next(), next()}}, mask = {{next() & next(), next() & next()}};
        store_chosen(bytes + next() % 12, &value, &mask);
        for (int i = 0; i < 32; i++) mix(bytes[i]);
    }
    printf("stores %016llx\n", (unsigned long long)hash);
}

int main(void) {
    for (unsigned i = 0; i < sizeof media / sizeof *media; i++) {
        for (int k = 0; k < 200; k++) {
            mix(media[i](next(), next()));
        }
        printf("mmx %u %016llx\n", i, (unsigned long long)hash);
    }
    for (unsigned i = 0; i < sizeof sse / sizeof *sse; i++) {
        for (int k = 0; k < 400; k++) {
            vector a = {{number(), number()}}, b = {{number(), number()}};
            mix(sse[i](&a, &b, 0x1f80 | (uint32_t)k % 4 << 13) & ~2u); /* but that of denormal operands */
            mix(a.half[0]);
            mix(a.half[1]);
        }
        printf("sse %u %016llx\n", i, (unsigned long long)hash);
    }
    stores();
    return 0;
}
