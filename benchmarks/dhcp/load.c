/* New DHCP clients, one after the other, as a relay agent would send them on: what a server makes of them.
 *
 *     load SERVER OWN GROUP CLIENTS RATE SECONDS MOST
 *
 * SERVER and OWN are the server's address and the relay's own, GROUP (0 to 255) is an octet of every MAC address.
 * CLIENTS machines at a time do DISCOVER, OFFER, REQUEST, ACK.  With RATE 0 each that has its lease makes room for the
 * next at once, a closed loop; else RATE machines a second begin whether or not those before them are done, at most
 * CLIENTS at a time.  It ends after SECONDS, or when MOST leases have been given.  With CLIENTS 0 it asks every 10 ms
 * and ends at the first OFFER.
 *
 * Every address must be the one that was offered, lie in 10.0.0.0/15, and have been given to nobody else.  Waits count
 * from the moment when a message was due to be sent for the first time.  One JSON object goes to standard output. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum { DISCOVER = 1, OFFER = 2, REQUEST = 3, ACK = 5, NAK = 6 };
enum { SLOTS = 4096, NETWORK = 0x0A000000, ADDRESSES = 1 << 17, TRIES = 4, WAITS = 1 << 20 };
static const double REPEAT = 1.0, LOOK = 0.1, KNOCK = 0.01, LATE = 1.0;

struct client {
    uint32_t xid, address, server;
    uint8_t hwaddr[6];
    int waits_for, tries; /* OFFER or ACK; 0 when there is nobody in this place */
    double due_at, sent_at;
};

struct waits {
    double ms[WAITS];
    int count;
};

static int lan;
static struct sockaddr_in server_address = {.sin_family = AF_INET};
static uint32_t own, sequence;
static uint8_t group;
static struct client places[SLOTS];
static struct waits offers, acks;
static uint8_t given[ADDRESSES / 8];
static uint64_t exchanges, repeats, refused, twice, changed, foreign, begun, skipped;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void send_message(struct client *client) {
    uint8_t message[300] = {1, 1, 6, 1};
    int at = 240;
    memcpy(message + 4, &client->xid, 4);
    memcpy(message + 24, &own, 4);
    memcpy(message + 28, client->hwaddr, 6);
    memcpy(message + 236, "\x63\x82\x53\x63\x35\x01", 6);
    message[242] = client->waits_for == OFFER ? DISCOVER : REQUEST;
    at = 243;
    if (client->waits_for == ACK) {
        message[at++] = 54, message[at++] = 4;
        memcpy(message + at, &client->server, 4), at += 4;
        message[at++] = 50, message[at++] = 4;
        memcpy(message + at, &client->address, 4), at += 4;
    }
    memcpy(message + at, "\x37\x07\x01\x03\x06\x0f\x1c\x42\x43\xff", 10);
    client->sent_at = now();
    (void)!sendto(lan, message, sizeof message, 0, (void *)&server_address, sizeof server_address);
}

static void ask(struct client *client, int waits_for, double due_at) {
    client->waits_for = waits_for, client->tries = 0, client->due_at = due_at;
    send_message(client);
}

static void begin(struct client *client, double due_at) {
    uint8_t hwaddr[6] = {2, group, sequence >> 24, sequence >> 16, sequence >> 8, sequence};
    memcpy(client->hwaddr, hwaddr, 6);
    client->xid = htonl(sequence * SLOTS + (uint32_t)(client - places));
    sequence++, begun++;
    ask(client, OFFER, due_at);
}

static void add_wait(struct waits *waits, double seconds) {
    if (waits->count < WAITS) waits->ms[waits->count++] = seconds * 1e3;
}

static void count_address(uint32_t address) {
    uint32_t number = ntohl(address) - NETWORK;
    if (number >= ADDRESSES) {
        foreign++;
        return;
    }
    if (given[number / 8] & 1 << number % 8) twice++;
    given[number / 8] |= 1 << number % 8;
}

/* Whether the client in this place is done. */
static int received(const uint8_t *message, ssize_t size, double at) {
    uint32_t xid, server = 0, address;
    int kind = 0;
    if (size < 244 || message[0] != 2) return 0;
    memcpy(&xid, message + 4, 4);
    struct client *client = &places[ntohl(xid) % SLOTS];
    if (!client->waits_for || client->xid != xid || memcmp(client->hwaddr, message + 28, 6)) return 0;
    for (int i = 240; i + 1 < size && message[i] != 255;) {
        if (!message[i]) {
            i++;
            continue;
        }
        if (i + 2 + message[i + 1] > size) return 0;
        if (message[i] == 53 && message[i + 1] == 1) kind = message[i + 2];
        if (message[i] == 54 && message[i + 1] == 4) memcpy(&server, message + i + 2, 4);
        i += 2 + message[i + 1];
    }
    memcpy(&address, message + 16, 4);
    if (client->waits_for == OFFER && kind == OFFER) {
        add_wait(&offers, at - client->due_at);
        client->address = address, client->server = server;
        ask(client, ACK, now());
        return 0;
    }
    if (kind == NAK) {
        refused++;
    } else if (client->waits_for == ACK && kind == ACK) {
        add_wait(&acks, at - client->due_at);
        if (address != client->address) changed++;
        count_address(address);
        exchanges++;
    } else {
        return 0;
    }
    client->waits_for = 0;
    return 1;
}

static int repeat(struct client *client, double at) {
    if (!client->waits_for || at - client->sent_at < REPEAT) return 0;
    repeats++;
    if (client->tries++ < TRIES) {
        send_message(client);
        return 0;
    }
    client->waits_for = 0;
    return 1;
}

static int compare(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static double percentile(struct waits *waits, double share) {
    qsort(waits->ms, waits->count, sizeof waits->ms[0], compare);
    return waits->count ? waits->ms[(int)(share * (waits->count - 1))] : -1;
}

/* Ask until somebody answers; the moment of the first OFFER is told in seconds of the monotonic clock. */
static int knock(double seconds) {
    double end = now() + seconds;
    for (begin(&places[0], now()); now() < end; send_message(&places[0])) {
        struct pollfd ready = {lan, POLLIN, 0};
        uint8_t message[1500];
        if (poll(&ready, 1, (int)(KNOCK * 1e3)) > 0 && recv(lan, message, sizeof message, 0) > 240) {
            printf("{\"answered_at\": %.6f}\n", now());
            return 0;
        }
    }
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 8) return 2;
    int clients = atoi(argv[4]), buffer = 4 << 20;
    double rate = atof(argv[5]), seconds = atof(argv[6]);
    uint64_t most = strtoull(argv[7], NULL, 10);
    if (clients > SLOTS) return 2;
    group = atoi(argv[3]);
    inet_pton(AF_INET, argv[1], &server_address.sin_addr);
    inet_pton(AF_INET, argv[2], &own);
    server_address.sin_port = htons(67);
    lan = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(lan, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(67), .sin_addr.s_addr = own};
    if (bind(lan, (void *)&here, sizeof here)) {
        perror("port 67 cannot be bound");
        return 1;
    }
    if (!clients) return knock(seconds);
    double started_at = now(), at = started_at, looked_at = at, ended_at = at;
    for (int i = 0; !rate && i < clients; i++) begin(&places[i], started_at);
    for (;;) {
        uint8_t message[1500];
        ssize_t size;
        int is_over = at - started_at >= seconds || exchanges >= most, wait = 20;
        if (!is_over) ended_at = at;
        /* An open loop waits a little for what is still on its way: it counts. */
        if (is_over && (!rate || at - ended_at > LATE)) break;
        while (rate && !is_over) {
            double due_at = started_at + (begun + skipped) / rate;
            int place = 0;
            if (due_at > at) break;
            while (place < clients && places[place].waits_for) place++;
            if (place == clients) skipped++;
            else begin(&places[place], due_at);
        }
        if (rate && !is_over) {
            double due = started_at + (begun + skipped) / rate - now();
            wait = due > 0.001 ? (int)(due * 1e3) : 0;
        }
        struct pollfd ready = {lan, POLLIN, 0};
        poll(&ready, 1, wait);
        while ((size = recv(lan, message, sizeof message, MSG_DONTWAIT)) > 0) {
            double came_at = now();
            uint32_t xid;
            memcpy(&xid, message + 4, 4);
            if (received(message, size, came_at) && !rate) begin(&places[ntohl(xid) % SLOTS], now());
        }
        at = now();
        if (at - looked_at > LOOK) {
            looked_at = at;
            for (int i = 0; i < clients; i++)
                if (repeat(&places[i], at) && !rate) begin(&places[i], at);
        }
    }
    for (int i = 0; rate && i < clients; i++)
        if (places[i].waits_for) add_wait(places[i].waits_for == OFFER ? &offers : &acks, at - places[i].due_at);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"exchanges\": %llu, \"seconds\": %.4f, \"offer_p50\": %.3f, \"offer_p99\": %.3f, \"ack_p50\": %.3f, "
           "\"ack_p99\": %.3f, \"begun\": %llu, \"skipped\": %llu, \"repeats\": %llu, \"refused\": %llu, "
           "\"twice\": %llu, \"changed\": %llu, \"foreign\": %llu, \"cpu\": %.3f}\n",
           (unsigned long long)exchanges, ended_at - started_at, percentile(&offers, 0.5), percentile(&offers, 0.99),
           percentile(&acks, 0.5), percentile(&acks, 0.99), (unsigned long long)begun, (unsigned long long)skipped,
           (unsigned long long)repeats, (unsigned long long)refused, (unsigned long long)twice,
           (unsigned long long)changed, (unsigned long long)foreign,
           used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    return 0;
}
