// What the kernel interface of an architecture decides: layouts, flag values and the files of /proc. Says where it is wrong.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#if defined(__aarch64__)
#define MACHINE "aarch64"
#elif defined(__riscv)
#define MACHINE "riscv64"
#else
#define MACHINE "x86_64"
#endif

static int failures;

#define CHECK(condition)                                                             \
    do {                                                                             \
        if (!(condition)) {                                                          \
            fprintf(stderr, "line %d: %s (errno %d)\n", __LINE__, #condition, errno); \
            failures++;                                                              \
        }                                                                            \
    } while (0)

// Unmapped.
static volatile unsigned long bad = 8;
static char directory[] = "/tmp/syscalls-XXXXXX";

static void structures_of_files(void) {
    int fd = open("file", O_RDWR | O_CREAT | O_EXCL, 0640);
    CHECK(fd >= 0 && write(fd, "hello world", 11) == 11);
    struct stat a, b;
    CHECK(fstat(fd, &a) == 0 && a.st_size == 11 && (a.st_mode & 07777) == 0640 && S_ISREG(a.st_mode) && a.st_nlink == 1);
    CHECK(stat("file", &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev && b.st_blksize >= 512);
    struct timespec times[2] = {{1, 500}, {1000000000, 7}};
    CHECK(futimens(fd, times) == 0 && fstat(fd, &a) == 0);
    CHECK(a.st_atim.tv_sec == 1 && a.st_mtim.tv_sec == 1000000000 && a.st_mtim.tv_nsec == 7);
    struct statx x;
    CHECK(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &x) == 0 && x.stx_size == 11 && x.stx_ino == a.st_ino);
    struct statfs s;
    CHECK(fstatfs(fd, &s) == 0 && s.f_bsize > 0 && s.f_namelen >= 255);
    char head[5] = "", tail[6] = "";
    struct iovec parts[2] = {{head, 5}, {tail, 6}};
    CHECK(preadv(fd, parts, 2, 0) == 11 && memcmp(head, "hello", 5) == 0 && memcmp(tail, " world", 6) == 0);
    CHECK(lseek(fd, -5, SEEK_END) == 6);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 3};
    CHECK(fcntl(fd, F_SETLK, &lock) == 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK(read(fd, (void *)bad, 4) == -1 && errno == EFAULT);
    CHECK(stat((char *)bad, &a) == -1 && errno == EFAULT);
    CHECK(stat("file", (struct stat *)bad) == -1 && errno == EFAULT);
    close(fd);
}

// The values of these differ between architectures.
static void flags_of_open(void) {
    CHECK(mkdir("dir", 0700) == 0 && symlink("file", "link") == 0);
    CHECK(open("file", O_DIRECTORY) == -1 && errno == ENOTDIR);
    CHECK(open("link", O_NOFOLLOW) == -1 && errno == ELOOP);
    int fd = open("dir", O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0 && (fcntl(fd, F_GETFL) & O_DIRECTORY) && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    int inside = openat(fd, "inside", O_CREAT | O_WRONLY | O_APPEND, 0600);
    CHECK(inside >= 0 && (fcntl(inside, F_GETFL) & (O_ACCMODE | O_APPEND)) == (O_WRONLY | O_APPEND));
    CHECK(fcntl(inside, F_SETFL, O_NONBLOCK) == 0 && (fcntl(inside, F_GETFL) & (O_NONBLOCK | O_APPEND)) == O_NONBLOCK);
    CHECK(faccessat(fd, "inside", W_OK, 0) == 0 && access("dir/inside", F_OK) == 0 && access("none", F_OK) == -1);
    int unnamed = open("dir", O_TMPFILE | O_RDWR, 0600);
    CHECK(unnamed >= 0 || errno == EOPNOTSUPP);
    int ends[2];
    CHECK(pipe2(ends, O_DIRECT | O_NONBLOCK) == 0 && (fcntl(ends[1], F_GETFL) & O_DIRECT));
    char c;
    CHECK(read(ends[0], &c, 1) == -1 && errno == EAGAIN);
}

static void events(void) {
    int ends[2], e = epoll_create1(EPOLL_CLOEXEC);
    CHECK(e >= 0 && pipe(ends) == 0);
    struct epoll_event in = {EPOLLIN, {.u64 = 0x1122334455667788}}, out = {EPOLLOUT, {.u64 = 0x99aabbccddeeff00}};
    CHECK(epoll_ctl(e, EPOLL_CTL_ADD, ends[0], &in) == 0 && epoll_ctl(e, EPOLL_CTL_ADD, ends[1], &out) == 0);
    struct epoll_event got[4];
    memset(got, 0x55, sizeof got);
    CHECK(epoll_wait(e, got, 4, 1000) == 1 && got[0].events == EPOLLOUT && got[0].data.u64 == 0x99aabbccddeeff00);
    // Entries the call did not fill are the caller's.
    CHECK(got[1].data.u64 == 0x5555555555555555);
    CHECK(write(ends[1], "x", 1) == 1 && epoll_wait(e, got, 4, 1000) == 2);
    CHECK(got[0].data.u64 + got[1].data.u64 == 0x1122334455667788 + 0x99aabbccddeeff00);
    struct pollfd p[2] = {{ends[0], POLLIN, 0}, {ends[1], POLLOUT, 0}};
    CHECK(poll(p, 2, 1000) == 2 && p[0].revents == POLLIN && p[1].revents == POLLOUT);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    struct timeval tv = {1, 0};
    CHECK(select(ends[0] + 1, &set, 0, 0, &tv) == 1 && FD_ISSET(ends[0], &set));
}

static volatile int caught;
static void on_signal(int signal) { caught = signal; }

// A signal that only the mask of the call lets through interrupts it, and its handler runs once.
static void masks(int signal) {
    sigset_t blocked, none;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, signal);
    struct sigaction action = {.sa_handler = on_signal}, before;
    CHECK(sigaction(signal, &action, &before) == 0 && sigprocmask(SIG_BLOCK, &blocked, 0) == 0);
    struct timespec second = {1, 0};
    int e = epoll_create1(0);
    struct epoll_event event;
    for (int way = 0; way < 3; way++) {
        caught = 0;
        CHECK(raise(signal) == 0 && caught == 0);
        int result = way == 0 ? ppoll(0, 0, &second, &none)
                   : way == 1 ? pselect(0, 0, 0, 0, &second, &none)
                              : epoll_pwait(e, &event, 1, 1000, &none);
        CHECK(result == -1 && errno == EINTR && caught == signal);
        sigset_t now;
        CHECK(sigprocmask(SIG_BLOCK, 0, &now) == 0 && sigismember(&now, signal));
    }
    CHECK(sigprocmask(SIG_UNBLOCK, &blocked, 0) == 0 && sigaction(signal, &before, 0) == 0 && close(e) == 0);
}

static void shared_objects(void) {
    int id = semget(IPC_PRIVATE, 3, 0600);
    if (id == -1 && errno == ENOSYS) {
        return; // a kernel without System V IPC
    }
    union { int val; struct semid_ds *buf; } arg;
    struct semid_ds ds;
    arg.val = 5;
    CHECK(id >= 0 && semctl(id, 1, SETVAL, arg) == 0 && semctl(id, 1, GETVAL) == 5);
    struct sembuf take = {1, -2, 0};
    CHECK(semop(id, &take, 1) == 0 && semctl(id, 1, GETVAL) == 3);
    memset(&ds, 0, sizeof ds);
    arg.buf = &ds;
    CHECK(semctl(id, 0, IPC_STAT, arg) == 0 && ds.sem_nsems == 3 && (ds.sem_perm.mode & 0777) == 0600 && ds.sem_otime > 0);
    CHECK(semctl(id, 0, IPC_RMID) == 0);
    int memory = shmget(IPC_PRIVATE, 8192, 0600);
    struct shmid_ds shm;
    char *at = shmat(memory, 0, 0);
    CHECK(at != (char *)-1 && (at[8191] = 7) && shmctl(memory, IPC_STAT, &shm) == 0);
    CHECK(shm.shm_segsz == 8192 && shm.shm_nattch == 1);
    CHECK(shmdt(at) == 0 && shmctl(memory, IPC_RMID, 0) == 0);
}

static void descriptors_over_sockets(void) {
    int pair[2], ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0 && pipe(ends) == 0);
    char data[3] = "fd", control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {data, 2};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &ends[1], sizeof(int));
    CHECK(sendmsg(pair[0], &message, 0) == 2);
    memset(control, 0, sizeof control);
    message.msg_controllen = sizeof control;
    CHECK(recvmsg(pair[1], &message, 0) == 2 && CMSG_FIRSTHDR(&message) != 0);
    int passed;
    memcpy(&passed, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    CHECK(write(passed, "z", 1) == 1 && read(ends[0], data, 1) == 1 && data[0] == 'z');
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int s = socket(AF_UNIX, SOCK_DGRAM, 0);
    socklen_t length = sizeof name;
    CHECK(bind(s, (struct sockaddr *)&name, sizeof name) == 0);
    CHECK(getsockname(s, (struct sockaddr *)&name, &length) == 0 && strcmp(name.sun_path, "socket") == 0);
    int kind = 0;
    length = sizeof kind;
    CHECK(getsockopt(s, SOL_SOCKET, SO_TYPE, &kind, &length) == 0 && kind == SOCK_DGRAM && length == 4);
}

static int file_contains(const char *path, const char *text) {
    static char buffer[1 << 20];
    int fd = open(path, O_RDONLY);
    size_t size = 0;
    ssize_t n;
    while (fd >= 0 && size < sizeof buffer && (n = read(fd, buffer + size, sizeof buffer - size)) > 0) {
        size += n;
    }
    close(fd);
    return memmem(buffer, size, text, strlen(text)) != 0;
}

static void the_process_as_proc_shows_it(const char *self) {
    char path[4096], other[64];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    CHECK(n > 0 && (path[n] = 0, strcmp(strrchr(path, '/'), strrchr(self, '/')) == 0));
    snprintf(other, sizeof other, "/proc/%d/../self/./exe", getpid());
    char again[4096];
    CHECK(readlink(other, again, sizeof again) == n && memcmp(path, again, n) == 0);
    int proc = open("/proc/self", O_PATH | O_DIRECTORY);
    CHECK(proc >= 0 && readlinkat(proc, "exe", again, sizeof again) == n && memcmp(path, again, n) == 0);
    struct stat by_link, by_name;
    CHECK(stat("/proc/self/exe", &by_link) == 0 && stat(path, &by_name) == 0 && by_link.st_ino == by_name.st_ino);
    char arguments[4096] = "";
    int fd = open("/proc/self/cmdline", O_RDONLY);
    CHECK(read(fd, arguments, sizeof arguments) == (ssize_t)strlen(self) + 1 && strcmp(arguments, self) == 0);
    close(fd);
    CHECK(file_contains("/proc/self/maps", path) && file_contains("/proc/self/maps", "[stack]"));
    CHECK(!file_contains("/proc/self/maps", "/isamorph\n"));
    snprintf(other, sizeof other, "/proc/%d/maps", getpid());
    CHECK(file_contains(other, path));
    unsigned long words[2], found = 0;
    fd = open("/proc/self/auxv", O_RDONLY);
    while (read(fd, words, sizeof words) == sizeof words) {
        found |= words[0] == AT_ENTRY && words[1] == getauxval(AT_ENTRY);
    }
    CHECK(found);
    CHECK(file_contains("/proc/cpuinfo", "processor"));
    struct utsname name;
    CHECK(uname(&name) == 0 && strcmp(name.machine, MACHINE) == 0);
}

static void rare_calls(void) {
    struct rlimit limit, stack = {1 << 20, RLIM_INFINITY};
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > 3);
    CHECK(setrlimit(RLIMIT_STACK, &stack) == 0);
    char cwd[256];
    CHECK(syscall(SYS_getcwd, cwd, sizeof cwd) == (long)strlen(directory) + 1 && strcmp(cwd, directory) == 0);
    CHECK(getpriority(PRIO_PROCESS, 0) == 0);
    int pending = -1, ends[2];
    CHECK(pipe(ends) == 0 && write(ends[1], "abc", 3) == 3 && ioctl(ends[0], FIONREAD, &pending) == 0 && pending == 3);
    CHECK(ioctl(ends[0], TIOCGWINSZ, &pending) == -1 && errno == ENOTTY);
}

int main(int argc, char **argv) {
    (void)argc;
    CHECK(mkdtemp(directory) && chdir(directory) == 0);
    structures_of_files();
    flags_of_open();
    events();
    masks(SIGUSR1);
    masks(SIGSEGV); // which faults raise, too
    shared_objects();
    descriptors_over_sockets();
    the_process_as_proc_shows_it(argv[0]);
    rare_calls();
    const char *files[] = {"file", "link", "dir/inside", "socket"};
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
        unlink(files[i]);
    }
    CHECK(rmdir("dir") == 0 && chdir("/") == 0 && rmdir(directory) == 0);
    printf("%d failures\n", failures);
    return failures != 0;
}
