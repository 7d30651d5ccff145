// Every kind of memory access at every distance from the end of a page: the handler finds all registers as they were set
// just before, through another handler's return.
#include "torture.h"

enum { PAGE = 4096, ALTERNATE = 1 << 16 };

// An instruction whose base register is `BASE`: where from the base it accesses how much, and what alignment that needs.
struct row {
    uint32_t word;
    const char *text;
    int offset, size, align;
};

#if defined __aarch64__
enum { BASE = 1, REGISTERS = 31 };
static const uint32_t trap_word = 0xd4200000; // brk #0
static const struct row rows[] = {
    {0xf9400023, "ldr x3, [x1]", 0, 8, 1},
    {0x39400023, "ldrb w3, [x1]", 0, 1, 1},
    {0x79800023, "ldrsh x3, [x1]", 0, 2, 1},
    {0xb9800023, "ldrsw x3, [x1]", 0, 4, 1},
    {0xb9400423, "ldr w3, [x1, #4]", 4, 4, 1},
    {0xf85fd023, "ldur x3, [x1, #-3]", -3, 8, 1},
    {0xf9000023, "str x3, [x1]", 0, 8, 1},
    {0x39000023, "strb w3, [x1]", 0, 1, 1},
    {0xf8008423, "str x3, [x1], #8", 0, 8, 1},
    {0xf81f8c23, "str x3, [x1, #-8]!", -8, 8, 1},
    {0xf8418423, "ldr x3, [x1], #24", 0, 8, 1},
    {0xa9401023, "ldp x3, x4, [x1]", 0, 16, 1},
    {0xa8c11023, "ldp x3, x4, [x1], #16", 0, 16, 1},
    {0xa9400423, "ldp x3, x1, [x1]", 0, 16, 1},
    {0x29c11023, "ldp w3, w4, [x1, #8]!", 8, 8, 1},
    {0xa9001023, "stp x3, x4, [x1]", 0, 16, 1},
    {0xa9bf1023, "stp x3, x4, [x1, #-16]!", -16, 16, 1},
    {0x3dc00025, "ldr q5, [x1]", 0, 16, 1},
    {0xbd400025, "ldr s5, [x1]", 0, 4, 1},
    {0x3c810425, "str q5, [x1], #16", 0, 16, 1},
    {0xad401825, "ldp q5, q6, [x1]", 0, 32, 1},
    {0x6d811825, "stp d5, d6, [x1, #16]!", 16, 16, 1},
    {0x4cdf2025, "ld1 {v5.16b-v8.16b}, [x1], #64", 0, 64, 1},
    {0x4c00a025, "st1 {v5.16b, v6.16b}, [x1]", 0, 32, 1},
    {0x4c400825, "ld4 {v5.4s-v8.4s}, [x1]", 0, 64, 1},
    {0x0d207825, "st4 {v5.h-v8.h}[3], [x1]", 0, 8, 1},
    {0x4d40cc25, "ld1r {v5.2d}, [x1]", 0, 8, 1},
    {0xc8dffc23, "ldar x3, [x1]", 0, 8, 8},
    {0x889ffc23, "stlr w3, [x1]", 0, 4, 4},
    {0xc85f7c23, "ldxr x3, [x1]", 0, 8, 8},
    {0xc87f9023, "ldaxp x3, x4, [x1]", 0, 16, 16},
    {0xf8230024, "ldadd x3, x4, [x1]", 0, 8, 8},
    {0xb8238024, "swp w3, w4, [x1]", 0, 4, 4},
    {0xc8a37c24, "cas x3, x4, [x1]", 0, 8, 8},
};
static uint64_t *registers(ucontext_t *u) { return (uint64_t *)u->uc_mcontext.regs; }
static uint64_t get_pc(ucontext_t *u) { return u->uc_mcontext.pc; }
static void set_pc(ucontext_t *u, uint64_t pc) { u->uc_mcontext.pc = pc; }
static uint64_t *flags(ucontext_t *u) { return (uint64_t *)&u->uc_mcontext.pstate; }
static const uint64_t FLAGS = 0xf0000000;
// Two words for each vector register.
static uint64_t *vectors(ucontext_t *u) {
    struct record {
        uint32_t magic, size, fpsr, fpcr;
        uint64_t registers[64];
    } *record = (struct record *)u->uc_mcontext.__reserved;
    while (record->magic != 0x46508001) record = (struct record *)((char *)record + record->size);
    return record->registers;
}
static int kept(int i) { return i == 18; }
enum { VECTOR_WORDS = 64 };
#elif defined __riscv
enum { BASE = 10, REGISTERS = 32 };
static const uint32_t trap_word = 0x00100073; // ebreak
static const struct row rows[] = {
    {0x00053583, "ld a1, 0(a0)", 0, 8, 1},
    {0x00050583, "lb a1, 0(a0)", 0, 1, 1},
    {0x00055583, "lhu a1, 0(a0)", 0, 2, 1},
    {0x00452583, "lw a1, 4(a0)", 4, 4, 1},
    {0xffd53503, "ld a0, -3(a0)", -3, 8, 1},
    {0x00b53023, "sd a1, 0(a0)", 0, 8, 1},
    {0x00b51023, "sh a1, 0(a0)", 0, 2, 1},
    {0x00b500a3, "sb a1, 1(a0)", 1, 1, 1},
    {0x00053587, "fld fa1, 0(a0)", 0, 8, 1},
    {0x00052587, "flw fa1, 0(a0)", 0, 4, 1},
    {0x00b53427, "fsd fa1, 8(a0)", 8, 8, 1},
    {0x00b52027, "fsw fa1, 0(a0)", 0, 4, 1},
    {0x100535af, "lr.d a1, (a0)", 0, 8, 8},
    {0x00c535af, "amoadd.d a1, a2, (a0)", 0, 8, 8},
    {0x08c5252f, "amoswap.w a0, a2, (a0)", 0, 4, 4},
    {0xe0c525af, "amomaxu.w a1, a2, (a0)", 0, 4, 4},
    // Compressed, with c.nop behind.
    {0x0001650c, "c.ld a1, 8(a0)", 8, 8, 1},
    {0x0001c10c, "c.sw a1, 0(a0)", 0, 4, 1},
    {0x0001210c, "c.fld fa1, 0(a0)", 0, 8, 1},
};
static uint64_t *registers(ucontext_t *u) { return (uint64_t *)u->uc_mcontext.__gregs; }
static uint64_t get_pc(ucontext_t *u) { return u->uc_mcontext.__gregs[0]; }
static void set_pc(ucontext_t *u, uint64_t pc) { u->uc_mcontext.__gregs[0] = pc; }
static uint64_t *flags(ucontext_t *u) { (void)u; static uint64_t none; return &none; }
static const uint64_t FLAGS = 0;
static uint64_t *vectors(ucontext_t *u) { return (uint64_t *)u->uc_mcontext.__fpregs.__d.__f; }
// The program counter, and the pointers that handlers in C need.
static int kept(int i) { return i == 0 || i == 3 || i == 4; }
enum { VECTOR_WORDS = 32 };
#else
#error "no instructions of this processor are listed"
#endif

enum { ROWS = sizeof rows / sizeof *rows, DISTANCES = 70 };

static uint32_t *code;
static char *page;
static unsigned row, distance;
static int running;
static ucontext_t original;
static uint64_t expected[REGISTERS], expected_vectors[VECTOR_WORDS], expected_flags;
static uint64_t random_words;
static long cases, faults;

static int fits(void) { return rows[row].offset + rows[row].size <= (int)distance; }

static uint64_t random_word(void) {
    uint64_t high = random_below(&random_words, 1u << 31), low = random_below(&random_words, 1u << 31);
    return high << 33 ^ low;
}

// Sets everything for the next case, to continue in its instruction; false if there is none.
static int next(ucontext_t *u) {
    do {
        // The first ones all, then some.
        distance += distance + 1 < 18 ? 1 : 5;
        if (distance >= DISTANCES) {
            distance = 0;
            if (++row == ROWS) return 0;
        }
    } while (rows[row].align > 1 && distance % 16);
    for (int i = 0; i < REGISTERS; i++)
        if (!kept(i)) registers(u)[i] = expected[i] = i == BASE ? (uint64_t)(page + PAGE - distance) : random_word();
    for (int i = 0; i < VECTOR_WORDS; i++) vectors(u)[i] = expected_vectors[i] = random_word();
    expected_flags = random_word() & FLAGS;
    *flags(u) = (*flags(u) & ~FLAGS) | expected_flags;
    set_pc(u, (uint64_t)&code[2 * row]);
    cases++;
    return 1;
}

static void compare(ucontext_t *u) {
    for (int i = 0; i < REGISTERS; i++)
        check(kept(i) || registers(u)[i] == expected[i], "`%s` at %u: register %d is %llx, not %llx", rows[row].text,
              distance, i, (unsigned long long)registers(u)[i], (unsigned long long)expected[i]);
    for (int i = 0; i < VECTOR_WORDS; i++)
        check(vectors(u)[i] == expected_vectors[i], "`%s` at %u: word %d of the vectors", rows[row].text, distance, i);
    check((*flags(u) & FLAGS) == expected_flags, "`%s` at %u: flags", rows[row].text, distance);
}

static void on_signal(int signal, siginfo_t *info, void *context) {
    ucontext_t *u = context;
    if (!running) {
        original = *u;
        running = 1;
    } else if (fits()) {
        check(signal == SIGTRAP && info->si_code == TRAP_BRKPT && get_pc(u) == (uint64_t)&code[2 * row + 1],
              "`%s` at %u: signal %d at %+lld", rows[row].text, distance, signal,
              (long long)(get_pc(u) - (uint64_t)&code[2 * row]));
    } else {
        char *at = info->si_addr, *end = page + PAGE;
        check(signal == SIGSEGV && info->si_code == SEGV_ACCERR && get_pc(u) == (uint64_t)&code[2 * row],
              "`%s` at %u: signal %d, code %d", rows[row].text, distance, signal, info->si_code);
        check(at >= end && at < end - distance + rows[row].offset + rows[row].size, "`%s` at %u: address %+ld",
              rows[row].text, distance, (long)(at - end));
        compare(u);
        faults++;
    }
    if (!next(u)) {
        // Back to where the first trap was.
        for (int i = 0; i < REGISTERS; i++) registers(u)[i] = registers(&original)[i];
        memcpy(vectors(u), vectors(&original), 8 * VECTOR_WORDS);
        *flags(u) = *flags(&original);
        set_pc(u, get_pc(&original) + 4);
        running = 0;
    }
}

int main(int argc, char **argv) {
    start(argc, argv);
    random_words = random_state(0);
    static char alternate[ALTERNATE];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (sigaltstack(&stack, NULL) || mprotect(page + PAGE, PAGE, PROT_NONE)) return 1;
    for (unsigned i = 0; i < ROWS; i++) {
        code[2 * i] = rows[i].word;
        code[2 * i + 1] = trap_word;
    }
    announce(code, PAGE);
    handle(SIGSEGV, on_signal, SA_ONSTACK);
    handle(SIGBUS, on_signal, SA_ONSTACK);
    handle(SIGTRAP, on_signal, SA_ONSTACK);
    handle(SIGILL, on_signal, SA_ONSTACK);
    do {
        row = 0;
        distance = -1u;
#ifdef __aarch64__
        __asm__ volatile("brk #0" ::: "memory");
#else
        __asm__ volatile(".option push\n.option norvc\nebreak\n.option pop" ::: "memory");
#endif
    } while (time_left());
    check(faults > 50, "%ld faults", faults);
    return finish("cases", cases);
}
