/* reconnecting: many WebSocket clients in one thread, which connect again after each loss of their socket.
 *
 *   reconnecting HOST PORT FIRST_ADDRESS CLIENTS PER_SECOND K M GROUPS
 *
 * Client n connects from the address FIRST_ADDRESS + n, so that a gateway sees distinct peers. At first PER_SECOND clients connect per second.
 * Each client subscribes to K random symbols of S0..S(M-1), all with the same number modulo GROUPS, so that a publisher that publishes one
 * group at a time sends a client all K prices at once. The waits are those of static/watchlist/socket.js: after a loss 0.25 to 0.5 s, twice as
 * long after each failed attempt, 5 s at most; 10 s for the opening; 25 s without any byte count as a loss.
 *
 * Commands on standard input, one per line:
 *   mark       starts a new phase
 *   report     prints the figures of the phase as one line of JSON
 *   dump FILE  writes a line for each client and symbol: symbol and the seq_id that the client received last (0: none)
 *   quit       ends the program
 * A client is live if it has received a price on its present socket. `all_live_s` is the time from the mark to the last moment at which all
 * clients became live (-1: not all are). `gap` is the time between two prices of a client, `away` from the loss of a socket to the first price
 * on the next one. Delays are the receive time less the update's own timestamp, without the first price of each symbol on a socket.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WAITING, CONNECTING, HANDSHAKE, OPEN };
enum { MAX_K = 32, BUCKETS = 600000, BUCKET_US = 100 };
#define FIRST_DELAY_US 500000L
#define LONGEST_DELAY_US 5000000L
#define OPENING_US 10000000L
#define SILENCE_US 25000000L

typedef struct {
    int fd, state, live, attempt;
    unsigned fresh; /* a bit for each symbol that has had a price on this socket */
    long due, since, heard, last_price, lost_at;
    unsigned char *buf;
    size_t len, cap;
    int symbols[MAX_K];
    long numbers[MAX_K];
} Client;

static struct sockaddr_in target;
static in_addr_t first_address;
static Client *clients;
static int total, own, all_symbols, group_count, poller, live, fewest;
static long marked, full_at, attempts, refused_429, refused_503, refused_other, unreachable, timed_out, moved, dropped, silent;
static long updates, older, bytes, longest_gap, longest_away, delays, longest_delay;
static unsigned *histogram;

static long clock_us(clockid_t id) { struct timespec t; clock_gettime(id, &t); return t.tv_sec * 1000000L + t.tv_nsec / 1000; }
static long now_us(void) { return clock_us(CLOCK_MONOTONIC); }

static void mark(void) {
    attempts = refused_429 = refused_503 = refused_other = unreachable = timed_out = moved = dropped = silent = 0;
    updates = older = bytes = longest_gap = longest_away = delays = longest_delay = 0;
    memset(histogram, 0, BUCKETS * sizeof *histogram);
    fewest = live; marked = now_us(); full_at = live == total ? marked : 0;
}

static void lose(Client *c) {
    if (c->fd >= 0) { close(c->fd); c->fd = -1; }
    long now = now_us(), longest = FIRST_DELAY_US << (c->attempt < 10 ? c->attempt : 10);
    if (longest > LONGEST_DELAY_US) longest = LONGEST_DELAY_US;
    if (c->live) { c->live = 0; c->lost_at = now; full_at = 0; if (--live < fewest) fewest = live; }
    c->attempt++; c->state = WAITING; c->due = now + longest / 2 + random() % (longest / 2);
}

static void open_socket(Client *c) {
    int one = 1; struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(first_address + (c - clients))};
    attempts++; c->len = 0; c->fresh = 0; c->since = c->heard = now_us(); c->state = CONNECTING;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) { perror("socket"); exit(1); }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(c->fd, (void *)&source, sizeof source)) { perror("bind"); exit(1); }
    if (connect(c->fd, (void *)&target, sizeof target) && errno != EINPROGRESS) { unreachable++; lose(c); return; }
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
}

/* Sends a frame. The mask is zero, which leaves the payload as it is. Returns whether all of it was written. */
static int send_frame(Client *c, int opcode, const void *payload, size_t n) {
    unsigned char f[2048] = {0x80 | opcode, 0x80 | n}; size_t head = 2;
    if (n > sizeof f - 8) return 0;
    if (n > 125) { f[1] = 0x80 | 126; f[2] = n >> 8; f[3] = n & 255; head = 4; }
    memset(f + head, 0, 4); memcpy(f + head + 4, payload, n);
    return write(c->fd, f, head + 4 + n) == (ssize_t)(head + 4 + n);
}

static int subscribe(Client *c) {
    char text[1024]; size_t n = 0;
    for (int k = 0; k < own; k++) n += sprintf(text + n, "%s\"S%d\"", k ? "," : "[", c->symbols[k]);
    text[n++] = ']';
    return send_frame(c, 1, text, n);
}

static void on_price(Client *c, long now) {
    if (!c->live) { c->live = 1; c->attempt = 0; if (++live == total) full_at = now; }
    if (c->lost_at) { if (now - c->lost_at > longest_away) longest_away = now - c->lost_at; c->lost_at = 0; }
    if (c->last_price && now - c->last_price > longest_gap) longest_gap = now - c->last_price;
    c->last_price = now;
}

static void on_update(Client *c, int symbol, long timestamp, long number, long unix_us) {
    int k = 0;
    while (k < own && c->symbols[k] != symbol) k++;
    if (k == own) return;
    updates++;
    if (number < c->numbers[k]) older++; else c->numbers[k] = number;
    if (!(c->fresh & 1u << k)) { c->fresh |= 1u << k; return; }
    long delay = unix_us - timestamp; if (delay < 0) delay = 0;
    long bucket = delay / BUCKET_US; histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++; delays++;
    if (delay > longest_delay) longest_delay = delay;
}

static void on_text(Client *c, const char *p, size_t n) {
    const char *end = p + n, *t, *s; long unix_us = clock_us(CLOCK_REALTIME);
    while ((p = memmem(p, end - p, "\"symbol\":\"S", 11))) {
        int symbol = atoi(p += 11);
        if (!(t = memmem(p, end - p, "\"timestamp\":", 12)) || !(s = memmem(t, end - t, "\"seq_id\":", 9))) return;
        on_price(c, now_us());
        on_update(c, symbol, atol(t + 12), atol(s + 9), unix_us);
        p = s;
    }
}

/* Reads the answer to the upgrade. Returns its length, 0 if it is incomplete, -1 if the client was refused. */
static long read_answer(Client *c) {
    unsigned char *e = memmem(c->buf, c->len, "\r\n\r\n", 4); if (!e) return 0;
    int status = atoi((char *)c->buf + 9);
    if (status != 101) { if (status == 429) refused_429++; else if (status == 503) refused_503++; else refused_other++; return -1; }
    c->state = OPEN;
    return subscribe(c) ? e + 4 - c->buf : -1;
}

/* Reads complete frames. Returns whether the connection stays open. */
static int read_frames(Client *c) {
    size_t o = 0;
    if (c->state == HANDSHAKE) { long n = read_answer(c); if (n <= 0) return n == 0; o = n; }
    while (c->len - o >= 2) {
        unsigned char *b = c->buf + o; size_t n = b[1] & 127, h = 2; int opcode = b[0] & 15;
        if (n == 126) { if (c->len - o < 4) break; n = b[2] << 8 | b[3]; h = 4; }
        else if (n == 127) { if (c->len - o < 10) break; n = 0; for (int i = 0; i < 8; i++) n = n << 8 | b[2 + i]; h = 10; }
        if (c->len - o < h + n) break;
        if (opcode == 1) on_text(c, (char *)b + h, n);
        else if (opcode == 9) send_frame(c, 10, b + h, n);
        else if (opcode == 8) { if (n >= 2 && (b[h] << 8 | b[h + 1]) == 4001) moved++; else dropped++; send_frame(c, 8, b + h, n < 2 ? 0 : 2); return 0; }
        o += h + n;
    }
    memmove(c->buf, c->buf + o, c->len - o); c->len -= o;
    return 1;
}

static void on_connected(Client *c) {
    static const char request[] = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    if (write(c->fd, request, sizeof request - 1) < 0) { unreachable++; lose(c); return; }
    c->state = HANDSHAKE;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
}

static void on_readable(Client *c) {
    if (c->cap - c->len < 2048) c->buf = realloc(c->buf, c->cap *= 2);
    ssize_t n = read(c->fd, c->buf + c->len, c->cap - c->len);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) { if (c->state == OPEN) dropped++; else unreachable++; lose(c); return; }
    c->len += n; bytes += n; c->heard = now_us();
    if (!read_frames(c)) lose(c);
}

static void check_times(long now) {
    for (Client *c = clients; c < clients + total; c++) {
        if (c->state == WAITING) { if (now >= c->due) open_socket(c); }
        else if (!c->live && now - c->since > OPENING_US) { timed_out++; lose(c); }
        else if (now - c->heard > SILENCE_US) { silent++; lose(c); }
    }
}

static double percentile(double share) {
    long wanted = delays * share, seen = 0;
    for (long b = 0; b < BUCKETS; b++) if ((seen += histogram[b]) > wanted) return (b + 1) * BUCKET_US / 1e3;
    return 0;
}

static void report(void) {
    long now = now_us(), gap = longest_gap, away = longest_away;
    for (Client *c = clients; c < clients + total; c++) {
        if (c->last_price && now - c->last_price > gap) gap = now - c->last_price;
        if (c->lost_at && now - c->lost_at > away) away = now - c->lost_at;
    }
    printf("{\"clients\":%d,\"live\":%d,\"fewest_live\":%d,\"all_live_s\":%.2f,\"attempts\":%ld,\"refused_429\":%ld,\"refused_503\":%ld,"
           "\"refused_other\":%ld,\"unreachable\":%ld,\"timed_out\":%ld,\"moved\":%ld,\"dropped\":%ld,\"silent\":%ld,\"updates\":%ld,\"older\":%ld,"
           "\"bytes\":%ld,\"seconds\":%.2f,\"longest_gap_s\":%.2f,\"longest_away_s\":%.2f,\"p50_ms\":%.1f,\"p99_ms\":%.1f,\"max_ms\":%.1f}\n",
           total, live, fewest, full_at ? (full_at - marked) / 1e6 : -1.0, attempts, refused_429, refused_503, refused_other, unreachable,
           timed_out, moved, dropped, silent, updates, older, bytes, (now - marked) / 1e6, gap / 1e6, away / 1e6, percentile(.5), percentile(.99),
           longest_delay / 1e3);
}

static void dump(const char *path) {
    FILE *file = fopen(path, "w"); if (!file) { perror(path); exit(1); }
    for (Client *c = clients; c < clients + total; c++) for (int k = 0; k < own; k++) fprintf(file, "S%d %ld\n", c->symbols[k], c->numbers[k]);
    fclose(file); printf("done\n");
}

static void on_command(void) {
    char line[4096];
    if (!fgets(line, sizeof line, stdin)) exit(0);
    line[strcspn(line, "\n")] = 0;
    if (!strcmp(line, "mark")) { mark(); printf("marked\n"); }
    else if (!strcmp(line, "report")) report();
    else if (!strncmp(line, "dump ", 5)) dump(line + 5);
    else exit(0);
    fflush(stdout);
}

static void make_client(int n, int per_second, long start) {
    Client *c = clients + n; unsigned r = (unsigned)n * 2654435761u + 12345; int members = all_symbols / group_count;
    c->fd = -1; c->cap = 4096; c->buf = malloc(c->cap); c->state = WAITING; c->due = start + n * 1000000L / per_second;
    for (int k = 0; k < own;) {
        r = r * 1664525u + 1013904223u;
        int symbol = n % group_count + group_count * ((r >> 8) % members), j = 0;
        while (j < k && c->symbols[j] != symbol) j++;
        if (j == k) c->symbols[k++] = symbol;
    }
}

int main(int argc, char **argv) {
    if (argc != 9) { fprintf(stderr, "usage: reconnecting HOST PORT FIRST_ADDRESS CLIENTS PER_SECOND K M GROUPS\n"); return 2; }
    target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    struct in_addr first;
    if (!inet_pton(AF_INET, argv[1], &target.sin_addr) || !inet_pton(AF_INET, argv[3], &first)) { fprintf(stderr, "reconnecting: not an address\n"); return 2; }
    first_address = ntohl(first.s_addr); total = atoi(argv[4]); own = atoi(argv[6]); all_symbols = atoi(argv[7]); group_count = atoi(argv[8]);
    if (total < 1 || atoi(argv[5]) < 1 || own < 1 || own > MAX_K || group_count < 1 || all_symbols / group_count < own) { fprintf(stderr, "reconnecting: a number is out of range\n"); return 2; }
    struct rlimit limit; getrlimit(RLIMIT_NOFILE, &limit); limit.rlim_cur = limit.rlim_max; setrlimit(RLIMIT_NOFILE, &limit);
    setvbuf(stdin, NULL, _IONBF, 0); /* epoll must see each line */
    histogram = calloc(BUCKETS, sizeof *histogram); clients = calloc(total, sizeof *clients); poller = epoll_create1(0); srandom(first_address);
    mark();
    for (int n = 0; n < total; n++) make_client(n, atoi(argv[5]), marked);
    struct epoll_event commands = {.events = EPOLLIN}, events[512];
    epoll_ctl(poller, EPOLL_CTL_ADD, 0, &commands);
    for (long checked = 0;;) {
        int count = epoll_wait(poller, events, 512, 10);
        for (int i = 0; i < count; i++) {
            Client *c = events[i].data.ptr; int error = 0; socklen_t size = sizeof error;
            if (!c) { on_command(); continue; }
            if (c->state != CONNECTING) { on_readable(c); continue; }
            getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
            if (error) { unreachable++; lose(c); } else on_connected(c);
        }
        long now = now_us();
        if (now - checked > 10000) { check_times(now); checked = now; }
    }
}
