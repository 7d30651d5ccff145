// Deep recursion, jumps across a hundred thousand frames, coroutines: calls and returns that do not pair up.
#include "torture.h"

enum { DEPTH = 100000, COROUTINES = 64, COROUTINE_STACK = 1 << 16 };

static jmp_buf out;
static long jumps, switches;

__attribute__((noinline)) static long descend(long n, int jump) {
    volatile long kept = n;
    if (n == 0) {
        if (jump) longjmp(out, 1);
        return 0;
    }
    long below = descend(n - 1, jump);
    return check(kept == n, "a frame has changed") ? below + 1 : 0;
}

static ucontext_t main_context, contexts[COROUTINES];
static long turns[COROUTINES];
static uint64_t random_of_main;

// Switches away from within calls of random depth.
__attribute__((noinline)) static long yield_at(int id, unsigned depth) {
    if (depth) return yield_at(id, depth - 1) + 1;
    turns[id]++;
    switches++;
    int next = (int)random_below(&random_of_main, COROUTINES + 1);
    ucontext_t *to = next == COROUTINES ? &main_context : &contexts[next];
    if (next != id) swapcontext(&contexts[id], to);
    return 0;
}

static void coroutine(int id) {
    for (;;) {
        unsigned depth = (unsigned)(id * 7 + (int)turns[id] * 3) % 60;
        long result = yield_at(id, depth);
        check(result == (long)depth, "%ld instead of %u in coroutine %d", result, depth, id);
    }
}

static void *everything(void *unused) {
    (void)unused;
    random_of_main = random_state(1);
    char *stacks = mmap(NULL, COROUTINES * COROUTINE_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < COROUTINES; i++) {
        getcontext(&contexts[i]);
        contexts[i].uc_stack = (stack_t){.ss_sp = stacks + i * COROUTINE_STACK, .ss_size = COROUTINE_STACK};
        makecontext(&contexts[i], (void (*)(void))coroutine, 1, i);
    }
    // Not at once to the whole depth: where each instruction is executed twice and compared there is time for a part of it.
    for (long depth = DEPTH / 64; time_left(); depth = depth < DEPTH / 2 ? 2 * depth : DEPTH) {
        if (setjmp(out) == 0) descend(depth, 1);
        jumps++;
        check(descend(depth, 0) == depth, "depth");
        // Jumps from many small depths, too: the stack of return addresses is not emptied by them.
        for (volatile int i = 0; i < 300; i++)
            if (setjmp(out) == 0) descend(i % 40, 1);
        for (int i = 0; i < 50 && time_left(); i++) swapcontext(&main_context, &contexts[random_below(&random_of_main, COROUTINES)]);
    }
    return NULL;
}

int main(int argc, char **argv) {
    start(argc, argv);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 << 20);
    pthread_t thread;
    if (pthread_create(&thread, &attributes, everything, NULL)) return 1;
    pthread_join(thread, NULL);
    if (getenv("VERBOSE")) fprintf(stderr, "%ld jumps\n", jumps);
    return finish("switches", switches);
}
