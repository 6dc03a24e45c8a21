/* HTTP clients that download over connections that stay open: how soon and how fast a server answers them.
 *
 *     load SERVER PORT PATH SIZE [-c CONNECTIONS] [-n REQUESTS] [-t SECONDS] [-r LEAST] [-R MOST] [-a ALIGN] [-s SEED]
 *          [-L ADDRESSES] [-d] [-k OCTETS] [-x SECONDS]
 *
 * CONNECTIONS (1) at a time make REQUESTS (as many) in all of PATH, which has SIZE octets; each asks for the next when it
 * has its answer, a closed loop.  The file holds 64 bit words, least octet first, of which number k (from 0) is
 * (k + SIZE) * 0x9E3779B97F4A7C15: no two are alike, and no two files.  Every octet of an answer is compared with that,
 * its status, length and range with what was asked for.
 *
 *     -t        end after so many seconds, instead of after REQUESTS; what is on its way by then does not count
 *     -r, -R    ask for ranges of LEAST to MOST (LEAST) octets, somewhere in the file
 *     -a        lengths and first octets of ranges are multiples of this (1)
 *     -L        connections come from the addresses 198.51.100.1 to 198.51.100.ADDRESSES, in turn
 *     -d        throw bodies away in the kernel: their lengths are compared, their octets are not
 *     -k        every connection reads so many octets a second; "open" and their number are written to standard output
 *               when all have begun to receive
 *     -x        all ends after so many seconds (120); what is not done by then has failed
 *
 * SIGTERM ends it as -t does.
 * One JSON object goes to standard output; waits are in ms from a request, or from the call that opened its connection.
 * The exit status is 0 whether or not requests failed. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD = 8192, BUFFER = 1 << 18, STRETCH = 1 << 14, EVENTS = 512, SPINS = 16, LOOK_MS = 100, PORTIONS = 10 };
enum { MOST_REQUESTS = 1 << 22, MOST_FAILURES = 1000 };
static const uint64_t FACTOR = 0x9E3779B97F4A7C15ull;

struct client {
    int fd, is_asked, is_in_body, closes, head_length;
    uint64_t asked_at, answered_at, begun_at, position, length, left; /* of the body: its first octet in the file, ... */
    char head[HEAD + 1];
};

static struct sockaddr_in server = {.sin_family = AF_INET};
static const char *host, *path;
static struct client *clients;
static uint64_t size, least, most, align = 1, slow, noise = 88172645463325252ull;
static int client_count = 1, requests, addresses, discards, poller;
static double seconds, longest = 120;
static int started, finished, good, failed, wrong, dialled, receiving;
static uint64_t octets, taken, begun_at; /* octets: of whole answers; taken: of all */
static double *firsts, *wholes, *ends;
static uint8_t buffer[BUFFER];
static char error[160];
static volatile sig_atomic_t is_over;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void stop(int number) {
    is_over = number;
}

static uint64_t below(uint64_t limit) {
    noise ^= noise << 13, noise ^= noise >> 7, noise ^= noise << 17;
    return noise % limit;
}

/* Whether these octets are the file's from this position on. */
static int is_the_files(uint64_t position, const uint8_t *got, uint64_t length) {
    static uint64_t words[STRETCH / 8 + 2];
    while (length) {
        uint64_t part = length < STRETCH ? length : STRETCH, word = position / 8 + size, skipped = position % 8;
        uint64_t count = (skipped + part + 7) / 8;
        for (uint64_t k = 0; k < count; k++) words[k] = (word + k) * FACTOR;
        if (memcmp((const uint8_t *)words + skipped, got, part)) return 0;
        position += part, got += part, length -= part;
    }
    return 1;
}

static void dial(int i) {
    struct client *client = &clients[i];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, room = 4096;
    if (fd < 0) die("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (slow) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (addresses) {
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc6336401u + i % addresses)};
        if (bind(fd, (void *)&own, sizeof own)) die("bind");
    }
    client->fd = fd, client->is_asked = client->is_in_body = client->closes = client->head_length = 0;
    client->asked_at = now_ns();
    struct epoll_event event = {.events = EPOLLOUT, .data.u32 = i};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
    dialled++;
    /* What comes of it is told by the first call to send. */
    (void)!connect(fd, (void *)&server, sizeof server);
}

/* Send the next request, of which there must be one.  Returns whether it was sent. */
static int ask(int i) {
    struct client *client = &clients[i];
    char text[1024], range[80] = "";
    client->position = 0, client->length = size;
    if (least) {
        client->length = (least + below((most - least) / align + 1) * align);
        client->position = below((size - client->length) / align + 1) * align;
        snprintf(range, sizeof range, "Range: bytes=%llu-%llu\r\n", (unsigned long long)client->position,
                 (unsigned long long)(client->position + client->length - 1));
    }
    int length = snprintf(text, sizeof text,
                          "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUser-Agent: load/1\r\nAccept: */*\r\n%s\r\n", path, host,
                          ntohs(server.sin_port), range);
    client->is_in_body = client->head_length = 0;
    client->begun_at = client->answered_at = 0;
    client->is_asked = 1;
    return send(client->fd, text, length, MSG_NOSIGNAL) == length;
}

static void begin(int i) {
    started++;
    dial(i);
}

static void hang_up(int i) {
    struct client *client = &clients[i];
    close(client->fd);
    client->fd = -1;
}

/* A request that came to nothing: the next one gets a new connection. */
static void fail(int i, const char *what) {
    snprintf(error, sizeof error, "%s", what);
    failed++, finished++;
    hang_up(i);
    if (started < requests && failed < MOST_FAILURES) begin(i);
}

static void fail_wrong(int i, const char *what) {
    wrong++;
    fail(i, what);
}

static void end(int i) {
    struct client *client = &clients[i];
    uint64_t now = now_ns();
    octets += client->length, finished++;
    firsts[good] = (client->answered_at - client->asked_at) / 1e6;
    wholes[good] = (now - client->asked_at) / 1e6;
    ends[good++] = (now - begun_at) / 1e9;
    if (client->closes || started >= requests) {
        hang_up(i);
        if (started < requests) begin(i);
        return;
    }
    started++;
    client->asked_at = now;
    if (!ask(i)) fail(i, "a request cannot be sent");
}

/* The value of a header field; NULL if there is none. */
static const char *field(const char *head, const char *name) {
    const char *at = strcasestr(head, name);
    return at ? at + strlen(name) + strspn(at + strlen(name), " \t") : NULL;
}

/* What is wrong about a head; NULL if it is what was asked for. */
static const char *objection(struct client *client) {
    static char told[80];
    char range[80];
    const char *length = field(client->head, "\r\ncontent-length:"), *connection, *had;
    int status = strncmp(client->head, "HTTP/1.1 ", 9) ? 0 : atoi(client->head + 9);
    if (status != (least ? 206 : 200)) {
        snprintf(told, sizeof told, "status %d", status);
        return told;
    }
    if (!length || strtoull(length, NULL, 10) != client->length) return "another length than was asked for";
    if (least) {
        snprintf(range, sizeof range, "bytes %llu-%llu/%llu\r\n", (unsigned long long)client->position,
                 (unsigned long long)(client->position + client->length - 1), (unsigned long long)size);
        had = field(client->head, "\r\ncontent-range:");
        if (!had || strncmp(had, range, strlen(range))) return "another range than was asked for";
    }
    connection = field(client->head, "\r\nconnection:");
    client->closes = connection && !strncasecmp(connection, "close", 5);
    return NULL;
}

/* Octets of the body.  Returns whether the answer goes on. */
static int take_body(int i, const uint8_t *got, uint64_t length) {
    struct client *client = &clients[i];
    uint64_t position = client->position + client->length - client->left;
    if (length > client->left) return fail_wrong(i, "more octets than were asked for"), 0;
    if (got && !is_the_files(position, got, length)) return fail_wrong(i, "octets that are not the file's"), 0;
    client->left -= length, taken += length;
    if (client->left) return 1;
    end(i);
    return 0;
}

/* Octets that begin an answer.  Returns whether it goes on. */
static int take_head(int i, int length) {
    struct client *client = &clients[i];
    if (!client->answered_at) client->answered_at = now_ns();
    client->head_length += length;
    client->head[client->head_length] = 0;
    char *stop = memmem(client->head, client->head_length, "\r\n\r\n", 4);
    if (!stop) return client->head_length < HEAD ? 1 : (fail_wrong(i, "a head that is too long"), 0);
    int rest = client->head_length - (int)(stop + 4 - client->head);
    stop[2] = 0;
    const char *what = objection(client);
    if (what) return fail_wrong(i, what), 0;
    client->is_in_body = 1, client->left = client->length;
    receiving++;
    return take_body(i, (const uint8_t *)stop + 4, rest);
}

/* Take in what has come, at most so much.  Returns whether there may be more. */
static int receive(int i, uint64_t limit) {
    struct client *client = &clients[i];
    ssize_t count;
    if (client->is_in_body) {
        if (limit > client->left) limit = client->left;
        count = recv(client->fd, buffer, limit < BUFFER ? limit : BUFFER, discards ? MSG_TRUNC : 0);
    } else {
        uint64_t room = HEAD - client->head_length;
        count = recv(client->fd, client->head + client->head_length, limit < room ? limit : room, 0);
    }
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (count <= 0) return fail(i, count ? strerror(errno) : "the server has closed the connection"), 0;
    if (client->is_in_body) return take_body(i, discards ? NULL : buffer, count);
    return take_head(i, count);
}

static void serve(int i) {
    struct client *client = &clients[i];
    if (client->fd < 0) return;
    if (!client->is_asked) {
        int problem = 0;
        socklen_t room = sizeof problem;
        getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &problem, &room);
        if (problem) return fail(i, strerror(problem));
        /* Who reads slowly looks at the clock, not at what there is. */
        struct epoll_event event = {.events = slow ? 0 : EPOLLIN, .data.u32 = i};
        if (epoll_ctl(poller, EPOLL_CTL_MOD, client->fd, &event)) die("epoll_ctl");
        if (!ask(i)) fail(i, "a request cannot be sent");
        return;
    }
    if (slow) return;
    for (int spin = 0; spin < SPINS && receive(i, BUFFER); spin++) {}
}

/* A tenth of a second's portion for every connection that reads slowly. */
static void read_slowly(uint64_t now) {
    static uint64_t looks_at;
    static int is_said;
    if (now < looks_at) return;
    looks_at = now + 1000000000ull / PORTIONS;
    for (int i = 0; i < client_count; i++)
        if (clients[i].fd >= 0 && clients[i].is_asked) receive(i, slow < PORTIONS ? 1 : slow / PORTIONS);
    if (is_said || receiving < client_count) return;
    is_said = printf("open %d\n", receiving);
    fflush(stdout);
}

static int by_value(const void *one, const void *other) {
    double x = *(const double *)one, y = *(const double *)other;
    return x < y ? -1 : x > y;
}

static double percentile(const double *waits, double share) {
    return good ? waits[(int)(share * (good - 1) + 0.5)] : 0;
}

static void tell(double took) {
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    /* The rate of the first and of the last tenth of all answers. */
    int tenth = good / 10, open = 0;
    double early = tenth ? tenth / ends[tenth - 1] : 0;
    double late = tenth ? tenth / (ends[good - 1] - ends[good - 1 - tenth]) : 0;
    for (int i = 0; i < client_count; i++) open += clients[i].fd >= 0;
    for (char *c = error; *c; c++)
        if (*c == '"' || *c == '\\' || *c < ' ') *c = ' ';
    qsort(firsts, good, sizeof(double), by_value);
    qsort(wholes, good, sizeof(double), by_value);
    printf("{\"good\": %d, \"failed\": %d, \"wrong\": %d, \"octets\": %llu, \"taken\": %llu, ", good, failed,
           wrong, (unsigned long long)octets, (unsigned long long)taken);
    printf("\"connections\": %d, \"open\": %d, \"early\": %.3f, \"late\": %.3f, ", dialled, open, early, late);
    printf("\"first_p50\": %.3f, \"first_p99\": %.3f, ", percentile(firsts, 0.5), percentile(firsts, 0.99));
    printf("\"first_last\": %.3f, ", percentile(firsts, 1.0));
    printf("\"whole_p50\": %.3f, \"whole_p99\": %.3f, ", percentile(wholes, 0.5), percentile(wholes, 0.99));
    printf("\"cpu\": %.3f, ", own.ru_utime.tv_sec + own.ru_stime.tv_sec +
                              (own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6);
    printf("\"seconds\": %.6f, \"error\": \"%s\"}\n", took, error);
}

int main(int argc, char **argv) {
    int option;
    while ((option = getopt(argc, argv, "c:n:t:r:R:a:s:L:dk:x:")) != -1) switch (option) {
        case 'c': client_count = atoi(optarg); break;
        case 'n': requests = atoi(optarg); break;
        case 't': seconds = atof(optarg); break;
        case 'r': least = strtoull(optarg, NULL, 10); break;
        case 'R': most = strtoull(optarg, NULL, 10); break;
        case 'a': align = strtoull(optarg, NULL, 10); break;
        case 's': noise ^= strtoull(optarg, NULL, 10) * FACTOR; break;
        case 'L': addresses = atoi(optarg); break;
        case 'd': discards = 1; break;
        case 'k': slow = strtoull(optarg, NULL, 10); break;
        case 'x': longest = atof(optarg); break;
        default: return 2;
    }
    if (argc - optind != 4 || client_count < 1 || addresses < 0 || addresses > 250 || !align) return 2;
    host = argv[optind], path = argv[optind + 2], size = strtoull(argv[optind + 3], NULL, 10);
    server.sin_port = htons(atoi(argv[optind + 1]));
    if (most < least) most = least;
    if (inet_pton(AF_INET, host, &server.sin_addr) != 1 || !size || most > size) return 2;
    if (ntohl(server.sin_addr.s_addr) >> 8 != 0xc00002) {
        fprintf(stderr, "%s: the load is for 192.0.2.0/24, a network for examples, alone\n", host);
        return 2;
    }
    if (seconds > 0 || requests > MOST_REQUESTS) requests = MOST_REQUESTS;
    if (!requests) requests = client_count;
    if (client_count > requests) client_count = requests;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit), limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    clients = calloc(client_count, sizeof *clients);
    firsts = calloc(requests, sizeof(double)), wholes = calloc(requests, sizeof(double));
    ends = calloc(requests, sizeof(double));
    if (!clients || !firsts || !wholes || !ends) die("calloc");
    poller = epoll_create1(EPOLL_CLOEXEC);
    signal(SIGTERM, stop);

    uint64_t now = begun_at = now_ns(), ends_at = begun_at + (uint64_t)((seconds > 0 ? seconds : longest) * 1e9);
    for (int i = 0; i < client_count; i++) begin(i);
    while (finished < requests && failed < MOST_FAILURES && now < ends_at && !is_over) {
        static struct epoll_event events[EVENTS];
        int count = epoll_wait(poller, events, EVENTS, LOOK_MS);
        for (int k = 0; k < count; k++) serve(events[k].data.u32);
        now = now_ns();
        if (slow) read_slowly(now);
    }
    if (finished < requests && seconds <= 0 && !is_over) {
        snprintf(error, sizeof error, "not done within %g s, or too much has failed", longest);
        failed += requests - finished;
    }
    tell((now_ns() - begun_at) / 1e9);
    return 0;
}
