// Exclusive pairs that read other memory between the load and the store, so that it matters whether anything was stored in between,
// not only whether the value is still there: a lock-free stack whose nodes are used again at once, and a word that others change
// and change back, by stores and by the kernel.
#include "torture.h"

enum { THREADS = 4, NODES = 5, PAUSE = 30 };

struct node {
    struct node *_Atomic next;
    atomic_int owners;
};

// LOAD and STORE are the pair, READ a load between; `store` leaves 0 in `failed` if it stored.
#if defined __aarch64__
#define LOAD(value, at) "ldaxr " value ", [" at "]\n"
#define READ(value, at) "ldar " value ", [" at "]\n"
#define STORE(failed, value, at) "stlxr %w" failed ", " value ", [" at "]\n"
#define PAUSE_LOOP(n) "5: subs " n ", " n ", #1\n b.ne 5b\n"
#define IF_NULL(value) "cbz " value ", 6f\n"
#define STATUS(n) #n
#elif defined __riscv
#define LOAD(value, at) "lr.d.aq " value ", (" at ")\n"
#define READ(value, at) "ld " value ", (" at ")\n fence r, rw\n"
#define STORE(failed, value, at) "sc.d.rl %" failed ", " value ", (" at ")\n"
#define PAUSE_LOOP(n) "5: addi " n ", " n ", -1\n bnez " n ", 5b\n"
#define IF_NULL(value) "beqz " value ", 6f\n"
#elif defined __arm__
#define LOAD(value, at) "ldrex " value ", [" at "]\n dmb\n"
#define READ(value, at) "ldr " value ", [" at "]\n dmb\n"
#define STORE(failed, value, at) "strex %" failed ", " value ", [" at "]\n"
#define PAUSE_LOOP(n) "5: subs " n ", " n ", #1\n bne 5b\n"
#define IF_NULL(value) "cmp " value ", #0\n beq 6f\n"
#elif defined __mips__
#if __SIZEOF_POINTER__ == 8
#define WIDE "d"
#define WORD "ld "
#else
#define WIDE ""
#define WORD "lw "
#endif
#define LOAD(value, at) "ll" WIDE " " value ", 0(" at ")\n sync\n"
#define READ(value, at) WORD value ", 0(" at ")\n sync\n"
#define STORE(failed, value, at) "move %" failed ", " value "\n sc" WIDE " %" failed ", 0(" at ")\n sltiu %" failed ", %" failed ", 1\n"
#define PAUSE_LOOP(n) "5: addiu " n ", " n ", -1\n bnez " n ", 5b\n"
#define IF_NULL(value) "beqz " value ", 6f\n"
#elif defined __loongarch__
#define LOAD(value, at) "ll.d " value ", " at ", 0\n dbar 0\n"
#define READ(value, at) "ld.d " value ", " at ", 0\n dbar 0\n"
#define STORE(failed, value, at) "move %" failed ", " value "\n sc.d %" failed ", " at ", 0\n sltui %" failed ", %" failed ", 1\n"
#define PAUSE_LOOP(n) "5: addi.w " n ", " n ", -1\n bnez " n ", 5b\n"
#define IF_NULL(value) "beqz " value ", 6f\n"
#endif

// Takes the first node: its successor is read between the load of the head and the store. `failed` is 1 if there is none.
static struct node *try_to_pop(struct node *_Atomic *head, long *failed) {
    struct node *first, *next;
    long status = 1, pause = PAUSE;
    __asm__ volatile(LOAD("%0", "%4") IF_NULL("%0") READ("%1", "%0") PAUSE_LOOP("%3") STORE("2", "%1", "%4") "6:"
                     : "=&r"(first), "=&r"(next), "+&r"(status), "+&r"(pause)
                     : "r"(head)
                     : "memory", "cc");
    *failed = status;
    return first;
}

static struct node *_Atomic head;
static struct node nodes[NODES];
static atomic_long pops, stored, seen;

static struct node *pop(void) {
    long failed;
    for (;;) {
        struct node *node = try_to_pop(&head, &failed);
        if (!node || !failed) return node;
    }
}

static void push(struct node *node) {
    struct node *first = head;
    do atomic_store(&node->next, first);
    while (!atomic_compare_exchange_weak(&head, &first, node));
}

static void *uses(void *unused) {
    (void)unused;
    do
        for (int i = 0; i < 20; i++) {
            struct node *taken[2] = {pop(), pop()};
            for (int k = 0; k < 2; k++)
                if (taken[k]) {
                    check(atomic_exchange(&taken[k]->owners, 1) == 0, "two threads own node %d", (int)(taken[k] - nodes));
                    pops++;
                }
            // The first goes back first: what was behind it is another one now.
            for (int k = 0; k < 2; k++)
                if (taken[k]) {
                    atomic_store(&taken[k]->owners, 0);
                    push(taken[k]);
                }
        }
    while (time_left());
    return NULL;
}

static void stack_of_reused_nodes(void) {
    for (int i = 0; i < NODES; i++) push(&nodes[i]);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, uses, NULL)) exit(1);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    int left = 0;
    for (struct node *node = head; node && left <= NODES; node = node->next) left++;
    check(left == NODES, "%d nodes of %d are left", left, NODES);
}

// A word that is 7 for most of the time, and how often it was not. In memory of its own: what is beside it does not matter.
static struct {
    _Atomic long value __attribute__((aligned(128)));
    _Atomic long changes __attribute__((aligned(128)));
} word;
static int file;
static atomic_int over;

// Stores what is there, if nobody has stored in the meantime, and returns it, or 0; the counts of changes are read at the start and
// at the end of it.
static long store_the_same(long *before, long *after) {
    long value, status = 1, pause = PAUSE, first, last;
    __asm__ volatile(LOAD("%0", "%5") READ("%1", "%6") PAUSE_LOOP("%4") READ("%2", "%6") STORE("3", "%0", "%5")
                     : "=&r"(value), "=&r"(first), "=&r"(last), "+&r"(status), "+&r"(pause)
                     : "r"(&word.value), "r"(&word.changes)
                     : "memory", "cc");
    *before = first;
    *after = last;
    return status ? 0 : value;
}

static void *watches(void *unused) {
    (void)unused;
    do {
        long before, after, value = store_the_same(&before, &after);
        if (value) {
            stored++;
            // What is counted while it is 9 does not end with it.
            check(before == after || value == 9, "a store behind %ld changes", after - before);
        } else {
            seen++;
        }
    } while (!over || !stored);
    return NULL;
}

static void by_stores(void) {
    atomic_store(&word.value, 9);
    word.changes++;
    atomic_store(&word.value, 7);
}

static void by_the_kernel(void) {
    check(pread(file, (void *)&word.value, sizeof(long), 0) == sizeof(long), "cannot read: %d", errno);
    word.changes++;
    check(pread(file, (void *)&word.value, sizeof(long), sizeof(long)) == sizeof(long), "cannot read: %d", errno);
}

static void word_that_changes_back(void (*change)(void)) {
    pthread_t threads[2];
    over = 0;
    atomic_store(&word.value, 7);
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, watches, NULL)) exit(1);
    while (time_left())
        for (int i = 0; i < 50; i++) {
            change();
            for (volatile int wait = 0; wait < 400; wait++) {}
        }
    over = 1;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
}

// A share of the time for each.
static void in_turn(int argc, char **argv, int turns) {
    long most = argc > 2 ? atol(argv[2]) : 300;
    deadline = milliseconds() + most / turns;
}

int main(int argc, char **argv) {
    start(argc, argv);
    long two[2] = {9, 7};
    file = memfd_create("values", 0);
    if (file < 0 || write(file, two, sizeof two) != sizeof two) return 1;
    in_turn(argc, argv, 3);
    stack_of_reused_nodes();
    in_turn(argc, argv, 3);
    word_that_changes_back(by_stores);
    in_turn(argc, argv, 3);
    word_that_changes_back(by_the_kernel);
    if (getenv("VERBOSE")) fprintf(stderr, "%ld stores, %ld refused\n", stored, seen);
    check(pops > 0 && stored > 0, "%ld nodes taken, %ld stores", (long)pops, (long)stored);
    return finish("nodes taken", pops);
}
