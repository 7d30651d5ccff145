// Code that is changed where it is not: through other mappings of the same memory, through its file and through that of the process's
// memory. Nothing announces it.
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096, TIMES = 50 };
typedef int function(void);

// mov eax, n; ret
static unsigned char *code(int n) {
    static unsigned char bytes[6];
    bytes[0] = 0xb8;
    memcpy(bytes + 1, &n, 4);
    bytes[5] = 0xc3;
    return bytes;
}

static int call(unsigned char *at) { return ((function *)at)(); }

static unsigned char *map(int file, int prot, int flags) {
    unsigned char *at = mmap(NULL, 2 * PAGE, prot, flags, file, 0);
    if (at == MAP_FAILED) perror("mmap");
    return at;
}

// Stores through `writable` change what is called at `executable`, by the store before each call.
static void through(const char *name, unsigned char *writable, unsigned char *executable) {
    int right = 0;
    for (int i = 0; i < TIMES; i++) {
        memcpy(writable + PAGE - 3, code(i), 6);
        right += call(executable + PAGE - 3) == i;
    }
    printf("%s: %d\n", name, right);
}

static void files(void) {
    int file = memfd_create("code", 0);
    if (file < 0 || ftruncate(file, 2 * PAGE)) return;
    unsigned char *executable = map(file, PROT_READ | PROT_EXEC, MAP_SHARED);
    unsigned char *first = map(file, PROT_READ | PROT_WRITE, MAP_SHARED);
    through("file", first, executable);
    unsigned char *second = map(file, PROT_READ | PROT_WRITE, MAP_SHARED);
    through("second", second, executable);
    through("first again", first, executable);
    mprotect(second, 2 * PAGE, PROT_READ);
    call(executable + PAGE - 3);
    mprotect(second, 2 * PAGE, PROT_READ | PROT_WRITE);
    through("protected", second, executable);
    second = mremap(second, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map(-1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS));
    through("moved", second, executable);
    unsigned char *private = map(file, PROT_READ | PROT_EXEC, MAP_PRIVATE);
    through("private", second, private);

    int right = 0;
    for (int i = 0; i < TIMES; i++) {
        if (pwrite(file, code(i), 6, 100) == 6) right += call(executable + 100) == i;
        struct iovec part = {code(i + 1), 6};
        if (pwritev(file, &part, 1, 100) == 6) right += call(executable + 100) == i + 1;
    }
    printf("written: %d\n", right);
    int pipes[2];
    if (pipe(pipes)) return;
    for (int i = right = 0; i < TIMES; i++)
        if (write(pipes[1], code(i), 6) == 6 && read(pipes[0], first + 100, 6) == 6) right += call(executable + 100) == i;
    printf("read: %d\n", right);
    for (int i = right = 0; i < TIMES; i++) {
        loff_t at = 100;
        if (write(pipes[1], code(i), 6) == 6 && splice(pipes[0], NULL, file, &at, 6, 0) == 6)
            right += call(executable + 100) == i;
    }
    printf("spliced: %d\n", right);
}

static void shared_memory(void) {
    unsigned char *writable = map(-1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    unsigned char *executable = mremap(writable, 0, 2 * PAGE, MREMAP_MAYMOVE);
    mprotect(executable, 2 * PAGE, PROT_READ | PROT_EXEC);
    through("without a file", writable, executable);

    int segment = shmget(IPC_PRIVATE, 2 * PAGE, 0700);
    executable = shmat(segment, NULL, SHM_EXEC);
    writable = shmat(segment, NULL, 0);
    shmctl(segment, IPC_RMID, NULL);
    through("segment", writable, executable);
}

static void own_memory(int prot) {
    unsigned char *at = map(-1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    memcpy(at, code(-1), 6);
    mprotect(at, 2 * PAGE, prot);
    int memory = open("/proc/self/mem", O_RDWR), right = call(at) == -1;
    for (int i = 0; i < TIMES; i++) {
        if (pwrite(memory, code(i), 6, (off_t)(unsigned long)at) == 6) right += call(at) == i;
        lseek(memory, (off_t)(unsigned long)at, SEEK_SET);
        if (write(memory, code(i + 1), 6) == 6) right += call(at) == i + 1;
    }
    printf("memory file: %d\n", right);
    for (int i = right = 0; i < TIMES; i++) {
        struct iovec from = {code(i), 6}, to = {at, 6};
        if (process_vm_writev(getpid(), &from, 1, &to, 1, 0) == 6) right += call(at) == i;
    }
    printf("process: %d\n", right);
    close(memory);
}

int main(void) {
    files();
    shared_memory();
    own_memory(PROT_READ | PROT_WRITE | PROT_EXEC);
    own_memory(PROT_READ | PROT_EXEC);
    return 0;
}
