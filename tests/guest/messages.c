// Control messages of sockets: descriptors, credentials, times and addresses that come beside the data of a message.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static _Alignas(16) char control[256];
static char text[16];
static struct iovec data = {text, sizeof text};

static struct msghdr with(void *messages, size_t len) {
    return (struct msghdr){.msg_iov = &data, .msg_iovlen = 1, .msg_control = messages, .msg_controllen = len};
}

// Puts a message at the start of `control`; its bytes.
static size_t put(int level, int type, const void *value, size_t len) {
    struct msghdr all = with(control, sizeof control);
    struct cmsghdr *message = CMSG_FIRSTHDR(&all);
    memset(control, 0, sizeof control);
    message->cmsg_level = level;
    message->cmsg_type = type;
    message->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(message), value, len);
    return CMSG_SPACE(len);
}

static int descriptors(void) {
    int open = 0;
    for (int fd = 0; fd < 100; fd++) open += fcntl(fd, F_GETFD) >= 0;
    return open;
}

// Prints what has come.
static void show(struct msghdr *received) {
    time_t now = time(NULL); // a tick late, maybe of the second before
    for (struct cmsghdr *m = CMSG_FIRSTHDR(received); m; m = CMSG_NXTHDR(received, m)) {
        size_t len = m->cmsg_len - CMSG_LEN(0);
        if (m->cmsg_level == SOL_SOCKET && m->cmsg_type == SCM_RIGHTS) {
            int fds[8];
            memcpy(fds, CMSG_DATA(m), len);
            printf("%zu descriptors", len / sizeof *fds);
            for (size_t i = 0; i < len / sizeof *fds; i++) {
                printf(", %s", fcntl(fds[i], F_GETFL) & O_WRONLY ? "written" : "read");
                if (fcntl(fds[i], F_GETFL) & O_WRONLY) printf(" %d", (int)write(fds[i], "through", 7));
                close(fds[i]);
            }
            printf("\n");
        } else if (m->cmsg_level == SOL_SOCKET && m->cmsg_type == SCM_CREDENTIALS) {
            struct ucred from;
            memcpy(&from, CMSG_DATA(m), sizeof from);
            printf("credentials %d\n", from.pid == getpid() && from.uid == getuid() && from.gid == getgid() && len == sizeof from);
        } else if (m->cmsg_level == SOL_SOCKET && m->cmsg_type == SCM_TIMESTAMP) {
            struct timeval at;
            memcpy(&at, CMSG_DATA(m), sizeof at);
            printf("time %d\n", at.tv_sec <= now + 1 && at.tv_sec > now - 100 && at.tv_usec < 1000000 && len == sizeof at);
        } else if (m->cmsg_level == IPPROTO_IP && m->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(m), sizeof info);
            printf("to %s, interface %d\n", inet_ntoa(info.ipi_addr), info.ipi_ifindex > 0 && info.ipi_ifindex < 1000);
        } else if (m->cmsg_level == IPPROTO_IP && m->cmsg_type == IP_TTL) {
            int ttl;
            memcpy(&ttl, CMSG_DATA(m), sizeof ttl);
            printf("ttl %d\n", ttl);
        } else {
            printf("message %d %d\n", m->cmsg_level, m->cmsg_type);
        }
    }
    printf("%s%s\n", text, received->msg_flags & MSG_CTRUNC ? ", some lost" : "");
}

static void receive(int from, size_t room) {
    struct msghdr message = with(control, room);
    memset(control, 0xaa, sizeof control);
    memset(text, 0, sizeof text);
    ssize_t got = recvmsg(from, &message, 0);
    printf("received %d: ", (int)got);
    if (got >= 0) show(&message);
}

static void send_text(int to, const char *what, size_t messages) {
    struct msghdr message = with(control, messages);
    strcpy(text, what);
    ssize_t sent = sendmsg(to, &message, 0);
    printf("sent %d%s\n", (int)sent, sent < 0 && errno == EINVAL ? ", refused" : "");
}

int main(void) {
    int pair[2], ends[2], yes = 1, before;
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) != 0 || pipe(ends) != 0) return 1;

    before = descriptors();
    send_text(pair[0], "descriptors", put(SOL_SOCKET, SCM_RIGHTS, ends, sizeof ends));
    receive(pair[1], sizeof control);
    char through[8] = "";
    printf("%d %s\n", (int)read(ends[0], through, 7), through);
    send_text(pair[0], "too many", put(SOL_SOCKET, SCM_RIGHTS, ends, sizeof ends));
    receive(pair[1], CMSG_LEN(sizeof(int)));
    send_text(pair[0], "no room", put(SOL_SOCKET, SCM_RIGHTS, ends, sizeof ends));
    receive(pair[1], CMSG_LEN(0));
    send_text(pair[0], "none wanted", put(SOL_SOCKET, SCM_RIGHTS, ends, sizeof ends));
    receive(pair[1], 0);
    printf("%d more open\n", descriptors() - before);

    // Several messages at once, of which the kernel makes some.
    setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes);
    setsockopt(pair[1], SOL_SOCKET, SO_TIMESTAMP, &yes, sizeof yes);
    struct ucred own = {getpid(), getuid(), getgid()};
    send_text(pair[0], "credentials", put(SOL_SOCKET, SCM_CREDENTIALS, &own, sizeof own));
    receive(pair[1], sizeof control);
    send_text(pair[0], "all", put(SOL_SOCKET, SCM_RIGHTS, &ends[1], sizeof *ends));
    receive(pair[1], CMSG_SPACE(sizeof(struct timeval)) + CMSG_SPACE(sizeof own) + CMSG_SPACE(sizeof *ends));
    setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &(int){0}, sizeof yes);
    setsockopt(pair[1], SOL_SOCKET, SO_TIMESTAMP, &(int){0}, sizeof yes);

    // A length that cannot be.
    size_t len = put(SOL_SOCKET, SCM_RIGHTS, ends, sizeof ends);
    ((struct cmsghdr *)control)->cmsg_len = CMSG_LEN(sizeof ends) + 100;
    send_text(pair[0], "wrong", len);

    // Several at once, of which the last has none.
    len = put(SOL_SOCKET, SCM_RIGHTS, ends, sizeof ends);
    static _Alignas(16) char rooms[3][64];
    struct mmsghdr many[3] = {{with(control, len), 0}, {with(control, len), 0}, {with(NULL, 0), 0}};
    printf("sent %d\n", sendmmsg(pair[0], many, 3, 0));
    printf("%u %d\n", many[1].msg_len, many[1].msg_hdr.msg_controllen == len);
    for (int i = 0; i < 3; i++) many[i].msg_hdr = with(rooms[i], sizeof rooms[i]);
    printf("received %d\n", recvmmsg(pair[1], many, 2, 0, NULL));
    for (int i = 0; i < 2; i++) show(&many[i].msg_hdr);
    printf("received %d\n", recvmmsg(pair[1], many, 3, MSG_DONTWAIT, NULL));
    printf("%d %d\n", (int)many[0].msg_hdr.msg_controllen, (int)many[2].msg_hdr.msg_controllen);
    printf("%d more open\n", descriptors() - before);

    int in = socket(AF_INET, SOCK_DGRAM, 0), out = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    if (bind(in, (void *)&at, size) != 0 || getsockname(in, (void *)&at, &size) != 0) return 2;
    setsockopt(in, IPPROTO_IP, IP_PKTINFO, &yes, sizeof yes);
    setsockopt(in, IPPROTO_IP, IP_RECVTTL, &yes, sizeof yes);
    if (connect(out, (void *)&at, size) != 0) return 3;
    send_text(out, "far", put(IPPROTO_IP, IP_TTL, &(int){77}, sizeof(int)));
    receive(in, sizeof control);
    return 0;
}
