// AVX, AVX2, FMA and F16C: vectors of 256 bits in loops of the compiler's and by name, their upper halves in signal handlers, other
// contexts and threads, and XSAVE.
#define _GNU_SOURCE
#pragma GCC target("avx2,fma,f16c,xsave,xsavec,xsaveopt")
#include <immintrin.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { N = 1024 };

__attribute__((noinline)) static uint64_t hash(const void *data, size_t len) {
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i < len; i++) h = (h ^ ((const uint8_t *)data)[i]) * 0x100000001b3;
    return h;
}

static void show(const char *name, const void *data, size_t len) { printf("%s %016llx\n", name, (unsigned long long)hash(data, len)); }

static float x[N], y[N], z[N];
static double dx[N], dy[N];
static int32_t ix[N], iy[N];
static int64_t lx[N];

static void fill(void) {
    uint32_t r = 12345;
    for (int i = 0; i < N; i++) {
        r = r * 1664525 + 1013904223;
        x[i] = (int32_t)r / 65536.0f;
        y[i] = (int32_t)(r * 7) / 1e6f;
        dx[i] = (int32_t)r / 3.0;
        dy[i] = (int32_t)(r * 11) / 7e5;
        ix[i] = r;
        iy[i] = r * 13 >> 7;
        lx[i] = (int64_t)r * iy[i];
    }
}

__attribute__((noinline, optimize("O3"))) static void loops(void) {
    for (int i = 0; i < N; i++) z[i] = x[i] * y[i] + x[i];
    show("float", z, sizeof z);
    static double d[N];
    for (int i = 0; i < N; i++) d[i] = fma(dx[i], dy[i], -dx[i]) - fma(-dy[i], dx[i], 1.0);
    show("double", d, sizeof d);
    static int32_t n[N];
    for (int i = 0; i < N; i++) n[i] = (ix[i] + iy[i]) ^ ix[i] >> (iy[i] & 31);
    show("int", n, sizeof n);
    int64_t sum = 0;
    for (int i = 0; i < N; i++) sum += lx[i] ^ lx[i] << 3;
    show("sum", &sum, sizeof sum);
    static int32_t t[N];
    for (int i = 0; i < N; i++) t[i] = (int32_t)x[i] + (int32_t)dx[i];
    show("to int", t, sizeof t);
    for (int i = 0; i < N; i++) z[i] = (float)dx[i] + ix[i];
    show("to float", z, sizeof z);
    for (int i = 0; i < N; i++) z[i] = sqrtf(fabsf(x[i])) / y[i];
    show("root", z, sizeof z);
}

#define OUT(name, v) do { __typeof__(v) out = (v); show(name, &out, sizeof out); } while (0)

__attribute__((noinline)) static void by_name(void) {
    __m256 a = _mm256_loadu_ps(x + 3), b = _mm256_loadu_ps(y + 5), c = _mm256_loadu_ps(x + 11);
    __m256i i = _mm256_loadu_si256((void *)(ix + 1)), j = _mm256_loadu_si256((void *)(iy + 9));
    __m256d p = _mm256_loadu_pd(dx + 1), q = _mm256_loadu_pd(dy + 2);
    __m256i few = _mm256_and_si256(i, _mm256_set1_epi32(255));
    __m256i mask = _mm256_setr_epi32(-1, 0, 0, -1, -1, 0, -1, 0);
    OUT("addsub", _mm256_fmaddsub_ps(a, b, c));
    OUT("subadd", _mm256_fmsubadd_pd(p, q, p));
    OUT("fnmsub", _mm256_fnmsub_ps(a, b, c));
    OUT("permute", _mm256_permute2f128_ps(a, b, 0x21));
    OUT("permutevar", _mm256_permutevar8x32_epi32(i, j));
    OUT("permutevar ps", _mm256_permutevar_ps(a, i));
    OUT("permutevar pd", _mm256_permutevar_pd(p, j));
    OUT("permute4x64", _mm256_permute4x64_epi64(i, 0x4e));
    OUT("blend", _mm256_blend_epi32(i, j, 0x5a));
    OUT("compare", _mm256_cmp_ps(a, b, _CMP_NLE_UQ));
    OUT("compare eq_us", _mm256_cmp_pd(p, q, _CMP_EQ_US));
    OUT("shifts", _mm256_sllv_epi32(i, _mm256_and_si256(j, _mm256_set1_epi32(63))));
    OUT("shifts 64", _mm256_srlv_epi64(i, _mm256_and_si256(j, _mm256_set1_epi64x(95))));
    OUT("shifts signed", _mm256_srav_epi32(i, few));
    OUT("gather", _mm256_i32gather_ps(x, few, 4));
    OUT("gather some", _mm256_mask_i32gather_epi32(i, ix, few, mask, 4));
    OUT("gather 64", _mm256_i64gather_epi32(iy, _mm256_and_si256(i, _mm256_set1_epi64x(127)), 4));
    OUT("gather doubles", _mm256_i32gather_pd(dx, _mm256_castsi256_si128(few), 8));
    OUT("broadcast", _mm256_broadcast_ss(x + 17));
    OUT("broadcast bytes", _mm256_broadcastb_epi8(_mm256_castsi256_si128(i)));
    OUT("broadcast 128", _mm256_broadcast_ps((__m128 *)(x + 4)));
    OUT("extract", _mm256_extractf128_ps(a, 1));
    OUT("insert", _mm256_inserti128_si256(i, _mm256_castsi256_si128(j), 1));
    OUT("halves", _mm256_cvtps_ph(a, 0));
    OUT("floats of halves", _mm256_cvtph_ps(_mm256_castsi256_si128(i)));
    OUT("pack", _mm256_packs_epi32(i, j));
    OUT("unpack", _mm256_unpackhi_epi8(i, j));
    OUT("sad", _mm256_sad_epu8(i, j));
    OUT("madd", _mm256_madd_epi16(i, j));
    OUT("doubles", _mm256_cvtps_pd(_mm256_castps256_ps128(a)));
    OUT("floats", _mm256_cvtpd_ps(p));
    int signs = _mm256_movemask_epi8(i) ^ _mm256_movemask_ps(a) ^ _mm256_movemask_pd(p) << 20;
    int tests = _mm256_testz_ps(a, b) | _mm256_testc_ps(a, a) << 1 | _mm256_testnzc_pd(p, q) << 2;
    printf("signs %x tests %x\n", signs, tests);

    // What is left out is not accessed: the page behind it cannot be.
    char *page = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(page + 4096, 4096, PROT_NONE);
    int32_t *end = (int32_t *)(page + 4096);
    __m256i three = _mm256_setr_epi32(-1, -1, -1, 0, 0, 0, 0, 0);
    _mm256_maskstore_epi32(end - 3, three, i);
    OUT("masked", _mm256_maskload_epi32(end - 3, three));
    OUT("masked end", _mm256_maskload_ps((float *)end - 5, _mm256_setr_epi32(0, -1, -1, 0, -1, 0, 0, 0)));
    _mm256_maskstore_pd((double *)(end - 8), _mm256_setr_epi64x(0, -1, 0, -1), p);
    _mm256_maskstore_pd((double *)end, _mm256_setzero_si256(), p);
    show("masked stores", page + 4000, 96);
}

// ---------------------------------------------------------------- signals
struct sw_bytes { uint32_t magic1, extended_size; uint64_t xfeatures; uint32_t xstate_size; };

static int problems;
static void check(int holds, const char *what) {
    if (!holds) printf("not so: %s\n", what), problems++;
}

static void use_vectors(void) {
    __asm__ volatile("vpcmpeqd %%ymm0, %%ymm0, %%ymm0\n vmovdqa %%ymm0, %%ymm3\n vmovdqa %%ymm0, %%ymm15\n" ::: "xmm0", "xmm3", "xmm15");
}

static void on_illegal(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    ucontext_t *uc = context;
    uint8_t *image = (uint8_t *)uc->uc_mcontext.fpregs;
    struct sw_bytes *sw = (struct sw_bytes *)(image + 464);
    check(sw->magic1 == 0x46505853, "magic1");
    check((uintptr_t)image % 64 == 0, "the image is aligned");
    check((sw->xfeatures & 7) == 7, "xfeatures");
    check(sw->extended_size >= sw->xstate_size + 4, "extended_size");
    uint32_t magic2;
    memcpy(&magic2, image + sw->xstate_size, 4);
    check(magic2 == 0x46505845, "magic2");
    uint64_t *bv = (uint64_t *)(image + 512), *high = (uint64_t *)(image + 576);
    check((*bv & 4) != 0, "in use");
    show("upper halves", high, 256);
    high[2 * 3] = 0x1234;
    high[2 * 15 + 1] = 0x5678;
    use_vectors();
    uc->uc_mcontext.gregs[REG_RIP] += 2;
}

static void on_illegal_clear(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    ucontext_t *uc = context;
    *(uint64_t *)((uint8_t *)uc->uc_mcontext.fpregs + 512) &= ~4ull;
    uc->uc_mcontext.gregs[REG_RIP] += 2;
}

__attribute__((noinline, optimize("no-tree-vectorize"))) static void vectors_over_a_signal(void (*handler)(int, siginfo_t *, void *), const char *name) {
    struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
    sigaction(SIGILL, &action, 0);
    static uint8_t before[512] __attribute__((aligned(32))), after[512] __attribute__((aligned(32)));
    for (int i = 0; i < 512; i++) before[i] = i * 37 >> 3;
    __asm__ volatile(
        "vmovdqa (%0), %%ymm0\n vmovdqa 32(%0), %%ymm1\n vmovdqa 64(%0), %%ymm2\n vmovdqa 96(%0), %%ymm3\n"
        "vmovdqa 128(%0), %%ymm4\n vmovdqa 160(%0), %%ymm5\n vmovdqa 192(%0), %%ymm6\n vmovdqa 224(%0), %%ymm7\n"
        "vmovdqa 256(%0), %%ymm8\n vmovdqa 288(%0), %%ymm9\n vmovdqa 320(%0), %%ymm10\n vmovdqa 352(%0), %%ymm11\n"
        "vmovdqa 384(%0), %%ymm12\n vmovdqa 416(%0), %%ymm13\n vmovdqa 448(%0), %%ymm14\n vmovdqa 480(%0), %%ymm15\n"
        "ud2\n"
        "vmovdqa %%ymm0, (%1)\n vmovdqa %%ymm1, 32(%1)\n vmovdqa %%ymm2, 64(%1)\n vmovdqa %%ymm3, 96(%1)\n"
        "vmovdqa %%ymm4, 128(%1)\n vmovdqa %%ymm5, 160(%1)\n vmovdqa %%ymm6, 192(%1)\n vmovdqa %%ymm7, 224(%1)\n"
        "vmovdqa %%ymm8, 256(%1)\n vmovdqa %%ymm9, 288(%1)\n vmovdqa %%ymm10, 320(%1)\n vmovdqa %%ymm11, 352(%1)\n"
        "vmovdqa %%ymm12, 384(%1)\n vmovdqa %%ymm13, 416(%1)\n vmovdqa %%ymm14, 448(%1)\n vmovdqa %%ymm15, 480(%1)\n"
        "vzeroupper\n"
        :: "r"(before), "r"(after) : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
        "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    show(name, after, sizeof after);
}

// ---------------------------------------------------------------- contexts, threads
static ucontext_t main_context, other_context;
static void other(void) {
    use_vectors();
    swapcontext(&other_context, &main_context);
}

static void *thread(void *seed) {
    __m256i v = _mm256_set1_epi32((int)(intptr_t)seed);
    for (int i = 0; i < 20000; i++) v = _mm256_add_epi32(_mm256_permute4x64_epi64(v, 0x39), _mm256_srli_epi64(v, 3));
    static uint64_t results[4];
    results[(intptr_t)seed] = hash(&v, sizeof v);
    return &results[(intptr_t)seed];
}

// ---------------------------------------------------------------- XSAVE
static void xsave(void) {
    static uint8_t area[4096] __attribute__((aligned(64)));
    static __m256i v, restored, without;
    v = _mm256_set1_epi64x(0x1122334455667788);
    __asm__ volatile(
        "vmovdqa %2, %%ymm5\n xsave (%3)\n vpxor %%xmm5, %%xmm5, %%xmm5\n xrstor (%3)\n vmovdqa %%ymm5, %0\n"
        "andq $~4, 512(%3)\n xrstor (%3)\n vmovdqa %%ymm5, %1\n"
        : "=m"(restored), "=m"(without) : "m"(v), "r"(area), "a"(6), "d"(0) : "memory", "xmm5");
    show("restored", &restored, sizeof restored);
    show("restored without", &without, sizeof without);
    show("image", area + 160 + 5 * 16, 16);
    show("image, upper", area + 576 + 5 * 16, 16);
    memset(area, 0, sizeof area);
    __asm__ volatile("vmovdqa %1, %%ymm5\n xsavec (%2)\n vpxor %%xmm5, %%xmm5, %%xmm5\n xrstor (%2)\n vmovdqa %%ymm5, %0\n"
        : "=m"(restored) : "m"(v), "r"(area), "a"(6), "d"(0) : "memory", "xmm5");
    show("restored, compacted", &restored, sizeof restored);
    printf("header %llx %llx\n", *(unsigned long long *)(area + 512), *(unsigned long long *)(area + 520));
    uint32_t a, d;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    printf("enabled %x\n", a & 7);
}

int main(void) {
    fill();
    loops();
    by_name();
    vectors_over_a_signal(on_illegal, "changed");
    vectors_over_a_signal(on_illegal_clear, "cleared");

    static char stack[65536];
    getcontext(&other_context);
    other_context.uc_stack.ss_sp = stack;
    other_context.uc_stack.ss_size = sizeof stack;
    makecontext(&other_context, other, 0);
    swapcontext(&main_context, &other_context);

    pthread_t threads[4];
    for (intptr_t i = 0; i < 4; i++) pthread_create(&threads[i], 0, thread, (void *)i);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        printf("thread %016llx\n", (unsigned long long)*(uint64_t *)result);
    }
    xsave();
    return problems != 0;
}
