// kernel.cu on a CPU: threads are fibres, a block runs to its end before the next one starts.
//
// A barrier, a shuffle, a ballot and an MMA are meeting points: whoever comes last does the work, the others wait.
// Copies to shared memory are done at once or as late as copies_wait allows, as `lazy` says: a kernel that reads too early
// or overwrites too early fails in one of the two. Shared memory begins as garbage. Fibres of a block are entered in
// their order or in the reverse, as `backwards` says. Accesses of 16 bytes to shared memory are recorded, and those that
// would meet in a bank are counted.
#include <csetjmp>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <ucontext.h>
#include <vector>

#define XNORFLOW_HOST
#define GLOBAL(threads, blocks) static void
#define DEVICE inline
#define DYNAMIC_SHARED(name) Chunk *name = (Chunk *)host::shared
#define FULL 0xffffffffu

namespace host {
const int STACK = 64 << 10;
struct Copy { void *to; const void *from; int bytes, group; };
struct Fibre {
    ucontext_t start;
    jmp_buf place;
    bool begun, done;
    std::vector<Copy> copies;
    std::vector<uint32_t> reads, writes;  // of shared memory: in chunks of 16 bytes
    int groups;
    uint32_t in[10], out[4];
    const uint32_t *row;
};
struct Meeting { int arrived; uint64_t generation; };

std::vector<Fibre> fibres;
std::vector<char> stacks;
std::vector<Meeting> warps;
Meeting block;
alignas(128) char shared[232448];
jmp_buf scheduler;
int current, threads, lazy, backwards;
int64_t accesses, conflicts;  // of 8 lanes at a time: what the hardware does in one cycle; those that take longer
std::function<void()> kernel;

void entry() {
    kernel();
    fibres[current].done = true;
    _longjmp(scheduler, 1);
}
void yield() {
    if (_setjmp(fibres[current].place) == 0) _longjmp(scheduler, 1);
}
template <class Work> void meet(Meeting &m, int members, Work work) {
    const uint64_t generation = m.generation;
    if (++m.arrived == members) {
        work();
        m.arrived = 0;
        ++m.generation;
    }
    while (m.generation == generation) yield();
}
Fibre *warp() { return &fibres[current / 32 * 32]; }
Meeting &warp_meeting() { return warps[current / 32]; }
void perform(int groups) {  // the copies of all groups but the latest ones
    std::vector<Copy> &copies = fibres[current].copies, left;
    for (const Copy &c : copies)
        if (c.group < groups) memcpy(c.to, c.from, c.bytes); else left.push_back(c);
    copies = left;
}
}  // namespace host

static struct { unsigned x; } threadIdx, blockIdx, gridDim;

namespace host {
// The n-th accesses of a warp's lanes belong together: 8 lanes at a time, each of another group of 4 banks.
void count_conflicts(std::vector<uint32_t> Fibre::*record) {
    for (int first = 0; first < threads; first += 8) {
        const size_t number = (fibres[first].*record).size();
        for (int lane = 1; lane < 8; ++lane)
            if ((fibres[first + lane].*record).size() != number) abort();  // lanes went different ways
        for (size_t n = 0; n < number; ++n) {
            bool meets = false;
            for (int i = 0; i < 8; ++i)
                for (int j = 0; j < i; ++j) {
                    const uint32_t x = (fibres[first + i].*record)[n], y = (fibres[first + j].*record)[n];
                    meets |= x != y && x % 8 == y % 8;
                }
            ++accesses;
            conflicts += meets;
        }
    }
}
void run(int64_t grid, int count, std::function<void()> body) {
    kernel = std::move(body);
    gridDim.x = (unsigned)grid;
    threads = count;
    fibres.resize(count);
    stacks.resize((size_t)count * STACK);
    warps.assign(count / 32, {0, 0});
    for (int64_t b = 0; b < grid; ++b) {
        blockIdx.x = (unsigned)b;
        memset(shared, 0xcd, sizeof shared);
        for (int i = 0; i < count; ++i) {
            Fibre &f = fibres[i];
            f.begun = f.done = false;
            f.copies.clear();
            f.reads.clear();
            f.writes.clear();
            f.groups = 0;
            getcontext(&f.start);
            f.start.uc_stack.ss_sp = &stacks[(size_t)i * STACK];
            f.start.uc_stack.ss_size = STACK;
            makecontext(&f.start, entry, 0);
        }
        for (int left = count; left > 0;) {
            for (int turn = 0; turn < count; ++turn) {
                static volatile int kept;
                kept = turn;
                current = backwards ? count - 1 - turn : turn;
                Fibre &f = fibres[current];
                if (f.done) continue;
                threadIdx.x = (unsigned)current;
                if (_setjmp(scheduler) == 0) {
                    if (f.begun) _longjmp(f.place, 1);
                    f.begun = true;
                    setcontext(&f.start);
                }
                turn = kept;
            }
            left = 0;
            for (const Fibre &f : fibres) left += !f.done;
        }
        count_conflicts(&Fibre::reads);
        count_conflicts(&Fibre::writes);
    }
}
}  // namespace host

inline void __syncthreads() { host::meet(host::block, host::threads, [] {}); }
inline int __popc(uint32_t x) { return __builtin_popcount(x); }
inline uint32_t __shfl_xor_sync(uint32_t, uint32_t value, int lanes) {
    host::fibres[host::current].in[0] = value;
    host::fibres[host::current].in[1] = (uint32_t)lanes;
    host::meet(host::warp_meeting(), 32, [] {
        host::Fibre *w = host::warp();
        for (int i = 0; i < 32; ++i) {
            if (w[i].in[1] != w[0].in[1]) abort();  // lanes that meet in different places of the program
            w[i].out[0] = w[i ^ (int)w[i].in[1]].in[0];
        }
    });
    return host::fibres[host::current].out[0];
}
inline uint32_t __ballot_sync(uint32_t, uint32_t bit) {
    host::fibres[host::current].in[0] = bit;
    host::meet(host::warp_meeting(), 32, [] {
        host::Fibre *w = host::warp();
        uint32_t word = 0;
        for (int i = 0; i < 32; ++i) word |= (uint32_t)(w[i].in[0] != 0) << i;
        for (int i = 0; i < 32; ++i) w[i].out[0] = word;
    });
    return host::fibres[host::current].out[0];
}
// Fragments as the PTX manual draws them (mma.m16n8k256, mma.m16n8k32): lane 4 g + t has words t and 4 + t of rows g and
// g + 8 of A and of column g of B, and columns 2 t, 2 t + 1 of rows g, g + 8 of D.
template <class Multiply> void mma(uint32_t *d, const uint32_t *a_words, const uint32_t *b_words, Multiply product) {
    host::Fibre &own = host::fibres[host::current];
    memcpy(own.in, a_words, 16);
    memcpy(own.in + 4, b_words, 8);
    memcpy(own.in + 6, d, 16);
    host::meet(host::warp_meeting(), 32, [&] {
        host::Fibre *w = host::warp();
        uint32_t a[16][8], b[8][8];
        for (int lane = 0; lane < 32; ++lane) {
            const int g = lane / 4, t = lane % 4;
            const uint32_t *in = w[lane].in;
            a[g][t] = in[0], a[g + 8][t] = in[1], a[g][4 + t] = in[2], a[g + 8][4 + t] = in[3];
            b[g][t] = in[4], b[g][4 + t] = in[5];
        }
        for (int lane = 0; lane < 32; ++lane)
            for (int r = 0; r < 4; ++r) {
                uint32_t sum = w[lane].in[6 + r];
                for (int k = 0; k < 8; ++k) sum += product(a[lane / 4 + r / 2 * 8][k], b[lane % 4 * 2 + r % 2][k]);
                w[lane].out[r] = sum;
            }
    });
    memcpy(d, own.out, 16);
}
inline void mma_bits(uint32_t (&d)[4], const uint32_t (&a)[4], const uint32_t *b) {
    mma(d, a, b, [](uint32_t x, uint32_t y) { return (uint32_t)__builtin_popcount(x & y); });
}
inline void mma_bytes(uint32_t (&d)[4], const uint32_t (&a)[4], const uint32_t *b) {
    mma(d, a, b, [](uint32_t x, uint32_t y) {
        int sum = 0;
        for (int i = 0; i < 32; i += 8) sum += (int8_t)(x >> i) * (int8_t)(y >> i);
        return (uint32_t)sum;
    });
}
inline void copy_later(void *to, const void *from, int bytes) {
    if ((uintptr_t)to % bytes || (uintptr_t)from % bytes) abort();  // the hardware traps
    host::Fibre &f = host::fibres[host::current];
    if (host::lazy) f.copies.push_back({to, from, bytes, f.groups}); else memcpy(to, from, bytes);
}
inline void copy16(void *to, const void *from, bool valid) {
    static const char zeros[16] alignas(16) = {};
    host::fibres[host::current].writes.push_back((uint32_t)(((char *)to - host::shared) / 16));
    copy_later(to, valid ? from : zeros, 16);
}
template <int words> void copy_words(void *to, const void *from) { copy_later(to, from, 4 * words); }
template <class Chunk> void fetch(uint32_t (&d)[4], const Chunk *row) {  // ldmatrix
    host::Fibre &own = host::fibres[host::current];
    own.reads.push_back((uint32_t)(((const char *)row - host::shared) / 16));
    own.row = (const uint32_t *)row;
    host::meet(host::warp_meeting(), 32, [] {
        host::Fibre *w = host::warp();
        for (int lane = 0; lane < 32; ++lane)
            for (int i = 0; i < 4; ++i) w[lane].out[i] = w[8 * i + lane / 4].row[lane % 4];
    });
    memcpy(d, own.out, 16);
}
inline void store_pair(void *to, uint32_t x, uint32_t y) {
    if ((uintptr_t)to % 8) abort();
    ((uint32_t *)to)[0] = x, ((uint32_t *)to)[1] = y;
}
inline void copies_commit() { ++host::fibres[host::current].groups; }
template <int left> void copies_wait() { host::perform(host::fibres[host::current].groups - left); }

#include XNORFLOW_KERNEL

extern "C" void set_order(int lazy, int backwards) { host::lazy = lazy, host::backwards = backwards; }

// Accesses and conflicts since the last call.
extern "C" void bank_conflicts(int64_t *both) {
    both[0] = host::accesses, both[1] = host::conflicts;
    host::accesses = host::conflicts = 0;
}

struct Entry { const char *name; void (*kernel)(const Product); int threads, bytes; };
static const Entry entries[] = {
    {"tile_64", tile_64, Tile64::threads, Tile64::bytes},
    {"tile_64_windows", tile_64_windows, Tile64Windows::threads, Tile64Windows::bytes},
    {"tile_128", tile_128, Tile128::threads, Tile128::bytes},
    {"tile_128_windows", tile_128_windows, Tile128Windows::threads, Tile128Windows::bytes},
    {"tile_256", tile_256, Tile256::threads, Tile256::bytes},
    {"count_plain", count_plain, 256, COUNT_BYTES},
    {"count_windows", count_windows, 256, COUNT_BYTES},
};

// What the kernel wants: threads of a block, bytes of shared memory; 0 where there is no such kernel.
extern "C" int needs(const char *name, int *threads, int *bytes) {
    for (const Entry &entry : entries)
        if (strcmp(name, entry.name) == 0) return *threads = entry.threads, *bytes = entry.bytes, 1;
    return 0;
}

extern "C" int launch(const char *name, int64_t grid, void **arguments) {
    const auto is = [name](const char *other) { return strcmp(name, other) == 0; };
#define ARGUMENT(type, index) *(type *)arguments[index]
    for (const Entry &entry : entries)
        if (is(entry.name)) {
            const Product p = ARGUMENT(const Product, 0);
            host::run(grid, entry.threads, [=] { entry.kernel(p); });
            return 0;
        }
    if (is("pack")) {
        const auto codes = ARGUMENT(const u8 *, 0), table = ARGUMENT(const u8 *, 1);
        const auto out = ARGUMENT(u32 *, 2);
        const auto rows = ARGUMENT(i64, 3), columns = ARGUMENT(i64, 4), words = ARGUMENT(i64, 5);
        const auto planes = ARGUMENT(int, 6);
        host::run(grid, 256, [=] { pack(codes, table, out, rows, columns, words, planes); });
    } else if (is("pack_floats")) {
        const auto values = ARGUMENT(const float *, 0);
        const auto least = ARGUMENT(float, 1), scale = ARGUMENT(float, 2);
        const auto out = ARGUMENT(u32 *, 3);
        const auto rows = ARGUMENT(i64, 4), columns = ARGUMENT(i64, 5), words = ARGUMENT(i64, 6);
        const auto planes = ARGUMENT(int, 7);
        host::run(grid, 256, [=] { pack_floats(values, least, scale, out, rows, columns, words, planes); });
    } else if (is("unpack")) {
        const auto in = ARGUMENT(const u32 *, 0);
        const auto out = ARGUMENT(u8 *, 1);
        const auto rows = ARGUMENT(i64, 2), columns = ARGUMENT(i64, 3), words = ARGUMENT(i64, 4);
        const auto planes = ARGUMENT(int, 5);
        host::run(grid, 256, [=] { unpack(in, out, rows, columns, words, planes); });
    } else if (is("pool")) {
        const Pool p = ARGUMENT(const Pool, 0);
        host::run(grid, 256, [=] { pool(p); });
    } else if (is("scores")) {
        const auto acc = ARGUMENT(const int *, 0);
        const auto multiplier = ARGUMENT(const i64 *, 1), offset = ARGUMENT(const i64 *, 2);
        const auto out = ARGUMENT(i64 *, 3), best = ARGUMENT(i64 *, 4);
        const auto rows = ARGUMENT(i64, 5), classes = ARGUMENT(i64, 6);
        host::run(grid, 256, [=] { scores(acc, multiplier, offset, out, best, rows, classes); });
    } else {
        return 1;
    }
    return 0;
}
