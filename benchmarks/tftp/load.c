/* TFTP clients that download, as many at a time as are wanted: how soon and how fast a server answers them.
 *
 *     load SERVER PORT FOLDER FILE [-c CLIENTS] [-n DOWNLOADS] [-b BLKSIZE] [-w WINDOWSIZE] [-t] [-l PERCENT] [-s SEED]
 *          [-T MS] [-x SECONDS] [-L ADDRESSES] [-F FILES] [-H BLOCK] [-A]
 *
 * CLIENTS (1) at a time make DOWNLOADS (1) in all of FILE, with -F of FILE0, FILE1, ... in turn; every octet is compared
 * with what stands in FOLDER.  Every download has a socket of its own; the server's TID is that of its first answer.
 *
 *     -b, -w, -t   ask for the options blksize, windowsize (more than 1), tsize
 *     -l           lose this share of what is received, and of the ACKs sent but for the last of a download
 *     -T           a client asks again after so many ms without an answer (1000), 12 times at the most
 *     -x           all ends after so many seconds (120); what is not done by then has failed
 *     -L           clients have the addresses 127.0.78.1 to 127.0.78.ADDRESSES, in turn
 *     -H           nobody acknowledges this block until all that run have it and SIGUSR1 has come; "held" and
 *                  their number are written to standard output when all have it
 *     -A           take answers from other addresses than the server's
 *
 * One JSON object goes to standard output; waits are in ms from a download's first request.  The exit status is 0
 * whether or not downloads failed. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { RRQ = 1, DATA = 3, ACK = 4, ERROR = 5, OACK = 6 };
enum { BATCH = 64, LARGEST = 65536, EVENTS = 512, TRIES = 12, FILES = 1024, LOOK_MS = 10 };

struct file {
    char request[600];
    int request_length;
    const uint8_t *octets;
    uint64_t size;
};

struct client {
    int fd, tries, blksize, windowsize;
    int is_open, has_answer, has_data, has_acked_gap, has_acked_window, is_held;
    uint64_t expected, received, since_ack, asked_at, due_at; /* due_at: when it asks again; 0 if it does not */
    const struct file *file;
    struct sockaddr_in peer;
};

struct waits {
    double *ms;
    int count;
};

static struct sockaddr_in server = {.sin_family = AF_INET};
static struct file files[FILES];
static struct client *clients;
static struct waits firsts, wholes;
static int client_count = 1, downloads = 1, file_count = 1, blksize, windowsize = 1, with_tsize, timeout_ms = 1000;
static int addresses, hold_block, any_source, poller, held_count;
static double loss, longest = 120;
static uint64_t noise = 88172645463325252ull;
static int started, finished, good, failed;
static uint64_t octets, blocks, acks_repeated, requests_repeated, wrong;
static uint8_t buffers[BATCH][LARGEST];
static char error[160];
static volatile sig_atomic_t may_go_on;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void go_on(int number) {
    may_go_on = number;
}

static int is_lost(void) {
    if (loss <= 0) return 0;
    noise ^= noise << 13, noise ^= noise >> 7, noise ^= noise << 17;
    return (double)(noise >> 11) / 9007199254740992.0 * 100.0 < loss;
}

static void wait_from(struct client *client, uint64_t now) { client->due_at = now + timeout_ms * 1000000ull; }

static void ask(struct client *client) {
    const struct file *file = client->file;
    if (sendto(client->fd, file->request, file->request_length, 0, (void *)&server, sizeof server) < 0)
        snprintf(error, sizeof error, "RRQ: %s", strerror(errno));
}

static void acknowledge(struct client *client, int may_be_lost) {
    uint64_t block = client->expected - 1;
    uint8_t ack[4] = {0, ACK, block >> 8, block};
    if (may_be_lost && is_lost()) return;
    /* What an earlier datagram met is told by the next call, and does not stop it from being made again. */
    if (send(client->fd, ack, sizeof ack, 0) < 0 && errno == ECONNREFUSED) (void)!send(client->fd, ack, sizeof ack, 0);
}

static void start(int i, uint64_t now) {
    struct client *client = &clients[i];
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), room = 1 << 20;
    if (fd < 0) die("socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (addresses) {
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f004e01u + started % addresses)};
        if (bind(fd, (void *)&own, sizeof own)) die("bind");
    }
    *client = (struct client){.fd = fd, .is_open = 1, .blksize = 512, .windowsize = 1, .expected = 1, .asked_at = now};
    client->file = &files[started++ % file_count];
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
    ask(client);
    wait_from(client, now);
}

/* Its place may be another's afterwards, so whoever calls this has to let go of it: it always returns 1. */
static int end(int i, uint64_t now, int is_good) {
    struct client *client = &clients[i];
    if (is_good) {
        good++, octets += client->received;
        wholes.ms[wholes.count++] = (now - client->asked_at) / 1e6;
    } else {
        failed++;
    }
    held_count -= client->is_held;
    close(client->fd);
    client->is_open = 0, finished++;
    if (started < downloads) start(i, now);
    return 1;
}

static int end_wrong(int i, uint64_t now, const char *what) {
    snprintf(error, sizeof error, "%s", what);
    wrong++;
    return end(i, now, 0);
}

/* Whether an OACK holds nothing but what was asked for, within what was asked for. */
static int take_options(struct client *client, const char *at, const char *stop) {
    while (at < stop) {
        const char *name = at, *value = name + strnlen(name, stop - name) + 1;
        if (value >= stop || value + strnlen(value, stop - value) >= stop) return 0;
        long number = atol(value);
        if (!strcasecmp(name, "blksize") && number >= 8 && number <= blksize) client->blksize = number;
        else if (!strcasecmp(name, "windowsize") && number >= 1 && number <= windowsize) client->windowsize = number;
        else if (strcasecmp(name, "tsize") || !with_tsize || (uint64_t)number != client->file->size) return 0;
        at = value + strlen(value) + 1;
    }
    return 1;
}

/* The next block in order.  Returns whether the download is over. */
static int take_block(int i, const uint8_t *payload, uint64_t length, uint64_t now) {
    struct client *client = &clients[i];
    const struct file *file = client->file;
    if (length > (uint64_t)client->blksize || length > file->size - client->received ||
        memcmp(payload, file->octets + client->received, length))
        return end_wrong(i, now, "octets that are not the file's");
    client->received += length, client->expected++, client->since_ack++, blocks++;
    client->tries = client->has_acked_gap = client->has_acked_window = 0;
    if (length < (uint64_t)client->blksize) {
        if (client->received != file->size) return end_wrong(i, now, "a file that is too short");
        acknowledge(client, 0);
        return end(i, now, 1);
    }
    if (hold_block && client->expected == (uint64_t)hold_block + 1 && !may_go_on) {
        client->is_held = 1, client->due_at = 0, held_count++;
        return 0;
    }
    if (client->since_ack >= (uint64_t)client->windowsize) {
        acknowledge(client, 1);
        client->since_ack = 0, client->has_acked_window = 1;
    }
    wait_from(client, now);
    return 0;
}

static int take_data(int i, const uint8_t *packet, int length, uint64_t now) {
    struct client *client = &clients[i];
    int16_t ahead = (int16_t)((packet[2] << 8 | packet[3]) - (uint16_t)client->expected);
    if (!client->has_data) {
        client->has_data = 1;
        firsts.ms[firsts.count++] = (now - client->asked_at) / 1e6;
    }
    if (ahead == 0) return take_block(i, packet + 4, length - 4, now);
    if (ahead < 0) {
        /* The last block again: its ACK was lost, if there was one, which is so where a window ended. */
        if (ahead == -1 && !client->is_held && (client->windowsize == 1 || client->has_acked_window)) {
            acknowledge(client, 1);
            wait_from(client, now);
        }
    } else if (!client->has_acked_gap && client->windowsize > 1) {
        acknowledge(client, 1);
        client->since_ack = 0, client->has_acked_gap = 1;
        wait_from(client, now);
    }
    return 0;
}

/* Returns whether the download is over. */
static int take(int i, const uint8_t *packet, int length, const struct sockaddr_in *from, uint64_t now) {
    struct client *client = &clients[i];
    if (length < 4 || (!any_source && from->sin_addr.s_addr != server.sin_addr.s_addr)) return 0;
    if (client->has_answer && (from->sin_port != client->peer.sin_port ||
                               from->sin_addr.s_addr != client->peer.sin_addr.s_addr)) return 0;
    int opcode = packet[0] << 8 | packet[1];
    if (opcode == ERROR) {
        snprintf(error, sizeof error, "ERROR %d: %.*s", packet[2] << 8 | packet[3], length - 4, packet + 4);
        return end(i, now, 0);
    }
    if ((opcode != DATA && opcode != OACK) || is_lost()) return 0;
    if (!client->has_answer) {
        client->peer = *from, client->has_answer = 1;
        connect(client->fd, (void *)from, sizeof *from);
    }
    if (opcode == DATA) return take_data(i, packet, length, now);
    if (client->expected != 1) return 0;
    if (!take_options(client, (const char *)packet + 2, (const char *)packet + length)) {
        return end_wrong(i, now, "an OACK with what nobody asked for");
    }
    client->tries = 0;
    acknowledge(client, 1);
    wait_from(client, now);
    return 0;
}

static void receive(int i, uint64_t now) {
    struct client *client = &clients[i];
    if (!client->is_open) return;
    int most = client->has_data && client->windowsize > 1 ? client->windowsize : 1, fd = client->fd;
    static struct mmsghdr messages[BATCH];
    static struct iovec parts[BATCH];
    static struct sockaddr_in sources[BATCH];
    if (most == 1) {
        socklen_t size = sizeof sources[0];
        ssize_t length = recvfrom(fd, buffers[0], LARGEST, 0, (void *)&sources[0], &size);
        if (length >= 0) take(i, buffers[0], length, &sources[0], now);
        return;
    }
    if (most > BATCH) most = BATCH;
    for (int k = 0; k < most; k++) {
        parts[k] = (struct iovec){buffers[k], LARGEST};
        messages[k].msg_hdr = (struct msghdr){
            .msg_iov = &parts[k], .msg_iovlen = 1, .msg_name = &sources[k], .msg_namelen = sizeof sources[k]};
    }
    int count = recvmmsg(fd, messages, most, MSG_DONTWAIT, NULL);
    for (int k = 0; k < count; k++)
        if (take(i, buffers[k], messages[k].msg_len, &sources[k], now)) return;
}

static void ask_again(uint64_t now) {
    static uint64_t looks_at;
    if (now < looks_at) return;
    looks_at = now + LOOK_MS * 1000000ull;
    for (int i = 0; i < client_count; i++) {
        struct client *client = &clients[i];
        if (!client->is_open || !client->due_at || client->due_at > now) continue;
        wait_from(client, now);
        if (++client->tries > TRIES) {
            snprintf(error, sizeof error, "no answer, block %llu expected", (unsigned long long)client->expected);
            end(i, now, 0);
        } else if (client->has_answer) {
            acknowledge(client, 1);
            client->since_ack = client->has_acked_gap = 0, acks_repeated++;
        } else
            ask(client), requests_repeated++;
    }
}

/* Says so once, when all that run hold; lets them go on when SIGUSR1 has come. */
static void hold(uint64_t now) {
    static int is_said;
    if (held_count && !is_said && started == downloads && held_count + finished == downloads) {
        is_said = printf("held %d\n", held_count);
        fflush(stdout);
    }
    if (!may_go_on || !held_count) return;
    for (int i = 0; i < client_count; i++) {
        if (!clients[i].is_held) continue;
        clients[i].is_held = 0;
        acknowledge(&clients[i], 1);
        clients[i].since_ack = 0;
        wait_from(&clients[i], now);
    }
    held_count = 0;
}

static void prepare(struct file *file, const char *folder, const char *name) {
    char path[1024], *end = file->request;
    struct stat stat;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &stat)) die(path);
    file->size = stat.st_size;
    file->octets = mmap(NULL, file->size ? file->size : 1, PROT_READ, MAP_PRIVATE, fd, 0);
    if (file->octets == MAP_FAILED) die(path);
    close(fd);
    *end++ = 0, *end++ = RRQ;
    end += sprintf(end, "%.400s", name) + 1;
    end += sprintf(end, "octet") + 1;
    if (with_tsize) end += sprintf(end, "tsize%c0", 0) + 1;
    if (blksize) end += sprintf(end, "blksize%c%d", 0, blksize) + 1;
    if (windowsize > 1) end += sprintf(end, "windowsize%c%d", 0, windowsize) + 1;
    file->request_length = end - file->request;
}

static int by_value(const void *one, const void *other) {
    double x = *(const double *)one, y = *(const double *)other;
    return x < y ? -1 : x > y;
}

static double percentile(struct waits *waits, double share) {
    return waits->count ? waits->ms[(int)(share * (waits->count - 1) + 0.5)] : 0;
}

static void tell(double seconds) {
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {{"good", good}, {"failed", failed}, {"wrong", wrong}, {"octets", octets}, {"blocks", blocks},
                  {"acks_repeated", acks_repeated}, {"requests_repeated", requests_repeated}};
    for (char *c = error; *c; c++)
        if (*c == '"' || *c == '\\' || *c < ' ') *c = ' ';
    qsort(firsts.ms, firsts.count, sizeof(double), by_value);
    qsort(wholes.ms, wholes.count, sizeof(double), by_value);
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
        printf("%s\"%s\": %llu, ", k ? "" : "{", counts[k].name, (unsigned long long)counts[k].value);
    printf("\"first_p50\": %.3f, \"first_p99\": %.3f, ", percentile(&firsts, 0.5), percentile(&firsts, 0.99));
    printf("\"whole_p50\": %.3f, \"whole_p99\": %.3f, ", percentile(&wholes, 0.5), percentile(&wholes, 0.99));
    printf("\"seconds\": %.6f, \"error\": \"%s\"}\n", seconds, error);
}

int main(int argc, char **argv) {
    int option;
    while ((option = getopt(argc, argv, "c:n:b:w:tl:s:T:x:L:F:H:A")) != -1) switch (option) {
        case 'c': client_count = atoi(optarg); break;
        case 'n': downloads = atoi(optarg); break;
        case 'b': blksize = atoi(optarg); break;
        case 'w': windowsize = atoi(optarg); break;
        case 't': with_tsize = 1; break;
        case 'l': loss = atof(optarg); break;
        case 's': noise ^= strtoull(optarg, NULL, 10) * 0x9E3779B97F4A7C15ull; break;
        case 'T': timeout_ms = atoi(optarg); break;
        case 'x': longest = atof(optarg); break;
        case 'L': addresses = atoi(optarg); break;
        case 'F': file_count = atoi(optarg); break;
        case 'H': hold_block = atoi(optarg); break;
        case 'A': any_source = 1; break;
        default: return 2;
    }
    if (argc - optind != 4 || client_count < 1 || downloads < 1 || file_count < 1 || file_count > FILES || addresses > 250 ||
        inet_pton(AF_INET, argv[optind], &server.sin_addr) != 1) return 2;
    if (ntohl(server.sin_addr.s_addr) >> 24 != 127) {
        fprintf(stderr, "%s: the load is for this machine alone\n", argv[optind]);
        return 2;
    }
    server.sin_port = htons(atoi(argv[optind + 1]));
    for (int k = 0; k < file_count; k++) {
        char name[500];
        snprintf(name, sizeof name, file_count > 1 ? "%.400s%d" : "%.400s", argv[optind + 3], k);
        prepare(&files[k], argv[optind + 2], name);
    }
    if (client_count > downloads) client_count = downloads;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit), limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    clients = calloc(client_count, sizeof *clients);
    firsts.ms = calloc(downloads, sizeof(double)), wholes.ms = calloc(downloads, sizeof(double));
    poller = epoll_create1(EPOLL_CLOEXEC);
    signal(SIGUSR1, go_on);

    uint64_t begun_at = now_ns(), ends_at = begun_at + (uint64_t)(longest * 1e9), now = begun_at;
    for (int i = 0; i < client_count; i++) start(i, now_ns());
    while (finished < downloads && now < ends_at) {
        static struct epoll_event events[EVENTS];
        int count = epoll_wait(poller, events, EVENTS, LOOK_MS);
        now = now_ns();
        for (int k = 0; k < count; k++) receive(events[k].data.u32, now);
        ask_again(now);
        if (hold_block) hold(now);
    }
    if (finished < downloads) {
        failed += downloads - finished;
        snprintf(error, sizeof error, "not done within %g s", longest);
    }
    tell((now_ns() - begun_at) / 1e9);
    return 0;
}
