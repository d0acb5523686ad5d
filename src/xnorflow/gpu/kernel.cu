// Products of packed bit planes: the one CUDA source of the training side's evaluation and of compiled networks on a GPU.
//
// Operands are levels x >= 0, u >= 0 in binary, plane i being bit i of every element, 32 neighbouring elements in a word.
// For row m of A and row n of B, with D = sum_ij 2^(i+j) popcount(a_i & b_j) and S[m] = sum_i 2^i popcount(a_i),
//
//     acc[m][n] = alpha * D + beta * S[m] + gamma[n]                    (32 bits, wrapping: only acc itself has to fit)
//
// which is every dot product of codes whose values are scale * level + offset: of -1/+1, K - 2 pa - 2 pb + 4 popc(a & b).
// Hopper has AND-popcount MMA and emulates XOR; hence this form. The order of K is free as long as A and B agree.
//
// Entry points; kernels.py has them as a table, with the shared memory of each.
//
//   tile_64, tile_128, tile_256        Product; 128, 128, 256 threads; tiles of 64 x 64, 128 x 128, 128 x 256
//   tile_64_windows, tile_128_windows  Product; 128, 256 threads; the same tiles, rows of A being windows of a map
//   count_plain, count_windows         Product; 256 threads; tiles of 8 x 32; every GPU; best where M is small
//
// Tiles are in the machine code of sm_80 and newer; tile_256, with 194 KiB of shared memory a block, from sm_90 up to before
// sm_120. Blocks walk over the tiles with the grid as their stride, so that any grid from one block on is right: min(tiles,
// blocks that are resident at once) is best. Packed outputs are written up to out_row words, zeros behind N. Pointers are
// aligned to 16 bytes, and so are a_row, a_plane (plain) and b_row, b_plane. The number of tiles is below 2^31.
//
//   pack, pack_floats, unpack, pool, scores   see their definitions; 256 threads
//
// The same file is compiled by NVRTC (no header is included) and, with XNORFLOW_HOST, by g++ behind the tests' host shim,
// which brings threads, barriers and a model of the MMA fragments.

typedef unsigned int u32;
typedef unsigned char u8;
typedef long long i64;

enum { INT32 = 0, THRESHOLD = 1, REQUANTIZE = 2 };  // what becomes of acc

// Everything a kernel is told. device.py has the same fields in the same order.
struct Product {
    const u32 *a;           // plain: (a_planes, M, a_row); windows: (a_planes, images, height, width, pixel_words)
    const u32 *b;           // (b_planes, N, b_row), b_row a multiple of 4, zeros behind k_words
    void *out;              // INT32: int (M, N); else u32 (bits, M, out_row)
    const int *gamma;       // (N)
    const int *thresholds;  // (levels, N), exclusive-or'ed with flip
    const int *flip;        // (N): -1 where a neuron is descending, else 0
    const i64 *multiplier;  // (N)
    const i64 *offset;      // (N)
    i64 M, N;
    i64 k_words;            // words of a row that count; plain: a multiple of 4, zeros behind K; windows: below 2^31
    i64 a_row, a_plane, b_row, b_plane, out_row, out_plane;  // strides in words
    int a_planes, b_planes, alpha, beta;
    int mode, bits, levels, shift;
    int height, width, pixel_words, channels;  // of the map that windows stand on
    int out_height, out_width, kernel_y, kernel_x;
    int stride_y, stride_x, dilation_y, dilation_x, top, left;
    int pad_level;          // the level of every channel outside the map
};

struct alignas(16) Chunk { u32 x, y, z, w; };  // what one thread copies and reads at a time: 128 bits
struct alignas(8) Pair { u32 x, y; };

#ifndef XNORFLOW_HOST
#define GLOBAL(threads, blocks) extern "C" __global__ void __launch_bounds__(threads, blocks)
#define DEVICE __device__ __forceinline__
#define DYNAMIC_SHARED(name) extern __shared__ Chunk name[]
#define FULL 0xffffffffu

DEVICE u32 shared_address(const void *p) {
    return (u32)__cvta_generic_to_shared(p);
}
DEVICE void copy16(void *to, const void *from, bool valid) {  // zeros, and nothing is read, where not valid
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(valid ? 16 : 0)
                 : "memory");
}
template <int words> DEVICE void copy_words(void *to, const void *from) {
    if (words == 4)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(shared_address(to)), "l"(from), "n"(4 * words)
                     : "memory");
}
// Lane l names a row of 4 words; d[i] becomes word l % 4 of the row that lane 8 i + l / 4 names.
DEVICE void fetch(u32 (&d)[4], const Chunk *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                 : "r"(shared_address(row)));
}
DEVICE void store_pair(void *to, u32 x, u32 y) {  // written once and read by others: first to leave the cache
    asm volatile("st.global.cs.v2.u32 [%0], {%1, %2};" ::"l"(to), "r"(x), "r"(y) : "memory");
}
DEVICE void copies_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int left> DEVICE void copies_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory");
}
// d += popcount(a & b) over 16 x 8 x 256. Lane 4 g + t: a[0], a[2] words t and 4 + t of row g, a[1], a[3] of row g + 8;
// b[0], b[1] words t and 4 + t of column g; d[0], d[1] row g, columns 2 t and 2 t + 1, d[2], d[3] row g + 8.
DEVICE void mma_bits(u32 (&d)[4], const u32 (&a)[4], const u32 *b) {
    asm("mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// d += a b over 16 x 8 x 32 bytes; lanes hold what they hold above, a word being 4 bytes.
DEVICE void mma_bytes(u32 (&d)[4], const u32 (&a)[4], const u32 *b) {
    asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

#ifndef XNORFLOW_BYTES  // multiply bits as bytes: where 1-bit MMA is emulated, sm_100 and newer
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
#define XNORFLOW_BYTES 1
#else
#define XNORFLOW_BYTES 0
#endif
#endif

// The pairs of planes (i of A, j of B) by falling power i + j, K slice by K slice within a pair: the sum so far is
// doubled whenever the power falls by one (Horner).
struct Walk {
    int i, j;
    i64 slice;
    bool doubles;  // the sum is doubled before this step
    bool ends;     // there is no such step

    DEVICE explicit Walk(const Product &p) : i(p.a_planes - 1), j(p.b_planes - 1), slice(0), doubles(false), ends(false) {}

    DEVICE void next(const Product &p, i64 slices) {
        doubles = false;
        if (++slice < slices) return;
        slice = 0;
        if (i + 1 < p.a_planes && j > 0) {
            ++i, --j;  // the same power
            return;
        }
        const int power = i + j - 1;
        doubles = true;
        ends = power < 0;
        i = power - (p.b_planes - 1) > 0 ? power - (p.b_planes - 1) : 0;
        j = power - i;
    }
};

// Where a row of A begins, in words; of a window, where its first pixel is, which may lie outside the map.
struct alignas(16) Row {
    i64 start;
    int y, x;
};

template <bool windows> DEVICE Row row_of(const Product &p, i64 m) {
    Row row = {0, 0, 0};
    if (!windows) {
        row.start = m * p.a_row;
    } else {
        const i64 positions = (i64)p.out_height * p.out_width, image = m / positions;
        const u32 position = (u32)(m - image * positions), line = position / (u32)p.out_width;
        row.y = (int)line * p.stride_y - p.top;
        row.x = (int)(position - line * p.out_width) * p.stride_x - p.left;
        row.start = ((image * p.height + row.y) * p.width + row.x) * p.pixel_words;
    }
    return row;
}

// A word of a window's K: the pixel it belongs to, counted from the window's first, and where it is, counted from there.
struct Tap {
    int y, x, word;
    i64 place;
    bool valid;
};

DEVICE Tap tap_of(const Product &p, i64 k, int plane) {
    const u32 pixel = (u32)k / (u32)p.pixel_words, line = pixel / (u32)p.kernel_x;
    const int y = (int)line * p.dilation_y, x = (int)(pixel - line * p.kernel_x) * p.dilation_x;
    const int word = (int)((u32)k - pixel * p.pixel_words);
    return {y, x, word, plane * p.a_plane + ((i64)y * p.width + x) * p.pixel_words + word, k < p.k_words};
}

// What stands for the tap, or for a word of its pixel behind it, outside the map: 0 behind the last channel.
DEVICE u32 pad_of(const Product &p, const Tap &tap, int behind, int plane) {
    const int left = p.channels - 32 * (tap.word + behind);
    if (!tap.valid || !(p.pad_level >> plane & 1) || left <= 0) return 0;
    return left >= 32 ? FULL : (1u << left) - 1;
}

DEVICE bool inside(const Product &p, const Row &row, const Tap &tap) {
    return tap.valid && (u32)(row.y + tap.y) < (u32)p.height && (u32)(row.x + tap.x) < (u32)p.width;
}

DEVICE i64 columns_of(const Product &p) {  // that are written
    return p.mode == INT32 ? p.N : p.out_row * 32;
}

DEVICE u32 requantized(const Product &p, i64 multiplier, i64 offset, u32 acc) {
    const i64 code = (multiplier * (int)acc + offset) >> p.shift;
    const int high = (int)(code >> 32);
    const u32 most = FULL >> (32 - p.bits), low = (u32)code < most ? (u32)code : most;
    return high < 0 ? 0 : high > 0 ? most : low;
}

// Whether a level is reached; flip: -1 of a descending neuron, whose thresholds are those of ~acc.
DEVICE u32 reached(u32 acc, int flip, int least) {
    return ((int)acc ^ flip) >= least;
}

// ---- Tensor cores -------------------------------------------------------------------------------------------------
// A block makes BM x BN accumulators at a time, a warp WM x WN of them, from slices of `chunks` * 128 bits of K that pass
// through `stages` buffers in shared memory; the copies run ahead across the end of a tile, so that they go on while its
// results are written. Chunks of a row are permuted: 8 lanes that copy neighbouring chunks, or fetch the same chunk of 8
// rows, meet all banks once.
template <int BM, int BN, int WM, int WN, int chunks, int stages, bool windows> struct Tile {
    static constexpr int threads = 32 * (BM / WM) * (BN / WN), MT = WM / 16, NT = WN / 8;
    static constexpr int warp_rows = BM / WM, warp_columns = BN / WN;
    static constexpr int lines = threads / chunks;  // rows that are copied at a time
    static constexpr int stage = (BM + BN) * chunks, words = chunks * 4;
    static constexpr int bytes = stages * stage * 16 + warp_columns * BM * 4 + (windows ? 2 * BM * 16 : 0);
    static constexpr int group = BN > BM ? 16 : 8;  // row tiles that go together
    static constexpr int steps = chunks / 2;  // of 256 bits, in a slice
    static_assert(chunks == 4 || chunks == 8, "place() knows rows of 64 and of 128 bytes");
    static_assert(BM % lines == 0 && BN % lines == 0, "every thread copies as many rows");
    static_assert(NT % 4 == 0, "a warp writes whole words of codes");
    typedef u32 Sums[2 * MT];

    static DEVICE int place(int row, int chunk) {
        return row * chunks + (chunk ^ (chunks == 8 ? row & 7 : row >> 1 & 3));
    }

    // Where a tile begins. Blocks that run at the same time share rows and columns in the second-level cache.
    static DEVICE void corner(u32 tile, u32 tiles_n, u32 tiles_m, i64 &top, i64 &column) {
        const u32 row = tile / (group * tiles_n) * group, in_group = tile - row * tiles_n;
        const u32 height = tiles_m - row < (u32)group ? tiles_m - row : group;
        top = (i64)(row + in_group % height) * BM;
        column = (i64)(in_group / height) * BN;
    }

    // The copies of one slice after another, as this thread sees them.
    struct Source {
        u32 tile, table;
        Walk at;
        const u32 *a, *b;   // this thread's first row of A and of B
        int a_rows, b_rows;  // rows from there on that exist

        DEVICE Source(const Product &p, Row *rows, u32 tiles_n, u32 tiles_m) : tile(blockIdx.x), table(1), at(p) {
            enter(p, rows, tiles_n, tiles_m);
        }

        DEVICE void enter(const Product &p, Row *rows, u32 tiles_n, u32 tiles_m) {
            const int first = threadIdx.x / chunks;
            i64 top, column;
            corner(tile, tiles_n, tiles_m, top, column);
            if (windows) {  // one table is filled while slower threads read the other
                table ^= 1;
                for (int row = threadIdx.x; row < BM; row += threads)
                    rows[table * BM + row] = row_of<true>(p, top + row < p.M ? top + row : p.M - 1);
                __syncthreads();
            } else {
                a = p.a + (top + first) * p.a_row + threadIdx.x % chunks * 4;
                a_rows = p.M - top < BM ? (int)(p.M - top) - first : BM;
            }
            b = p.b + (column + first) * p.b_row + threadIdx.x % chunks * 4;
            b_rows = p.N - column < BN ? (p.N > column ? (int)(p.N - column) : 0) - first : BN;
        }

        // The copies into one stage, and on to the next slice.
        DEVICE void next(const Product &p, Chunk *to, Row *rows, i64 slices, u32 tiles_n, u32 tiles_m) {
            if (tile < tiles_n * tiles_m) {
                const i64 k = at.slice * words;
                const bool counts = k + threadIdx.x % chunks * 4 < p.k_words;
                if (!windows) {
                    const u32 *from = a + at.i * p.a_plane + k;
#pragma unroll
                    for (int line = 0; line < BM; line += lines, from += lines * p.a_row)
                        copy16(to + place(threadIdx.x / chunks + line, threadIdx.x % chunks), from, counts && line < a_rows);
                } else if (p.pixel_words % 4 == 0) {
                    windows_of<4>(p, to, rows + table * BM, k);
                } else if (p.pixel_words % 2 == 0) {
                    windows_of<2>(p, to, rows + table * BM, k);
                } else {
                    windows_of<1>(p, to, rows + table * BM, k);
                }
                const u32 *from = b + at.j * p.b_plane + k;
#pragma unroll
                for (int line = 0; line < BN; line += lines, from += lines * p.b_row)
                    copy16(to + place(BM + threadIdx.x / chunks + line, threadIdx.x % chunks), from,
                           counts && line < b_rows);
                at.next(p, slices);
                if (at.ends) {
                    at = Walk(p);
                    tile += gridDim.x;
                    if (tile < tiles_n * tiles_m) enter(p, rows, tiles_n, tiles_m);
                }
            }
            copies_commit();
        }

        // A chunk of each row, `piece` words of a pixel at a time.
        template <int piece> DEVICE void windows_of(const Product &p, Chunk *to, const Row *rows, i64 k) {
            Tap taps[4 / piece] = {};
            u32 pads[4];
#pragma unroll
            for (int w = 0; w < 4; w += piece) {
                const Tap tap = tap_of(p, k + threadIdx.x % chunks * 4 + w, at.i);
                taps[w / piece] = tap;
#pragma unroll
                for (int v = 0; v < piece; ++v) pads[w + v] = pad_of(p, tap, v, at.i);
            }
#pragma unroll
            for (int line = 0; line < BM; line += lines) {
                const Row row = rows[threadIdx.x / chunks + line];
                u32 *chunk = (u32 *)(to + place(threadIdx.x / chunks + line, threadIdx.x % chunks));
#pragma unroll
                for (int w = 0; w < 4; w += piece) {
                    if (inside(p, row, taps[w / piece]))
                        copy_words<piece>(chunk + w, p.a + row.start + taps[w / piece].place);
                    else
#pragma unroll
                        for (int v = w; v < w + piece; ++v) chunk[v] = pads[v];
                }
            }
        }
    };

    // What a warp multiplies in a step: of each 16 rows of A the operand of mma_bits, of each 16 of B two.
    struct Operands {
        u32 a[MT][4], b[NT / 2][4];

        DEVICE void read(const Chunk *stage_a, const Chunk *stage_b, int step) {
            const int lane = threadIdx.x % 32;
#pragma unroll
            for (int mt = 0; mt < MT; ++mt)
                fetch(a[mt], stage_a + mt * 16 * chunks + place(lane % 16, 2 * step + lane / 16));
#pragma unroll
            for (int np = 0; np < NT / 2; ++np)
                fetch(b[np], stage_b + np * 16 * chunks + place(lane / 16 * 8 + lane % 8, 2 * step + lane / 8 % 2));
        }

        DEVICE void multiply(u32 (&acc)[MT][NT][4]) const {
#if XNORFLOW_BYTES
#pragma unroll 1
            for (int bit = 0; bit < 8; ++bit) {
                u32 columns[NT / 2][4];
#pragma unroll
                for (int np = 0; np < NT / 2; ++np)
#pragma unroll
                    for (int r = 0; r < 4; ++r) columns[np][r] = b[np][r] >> bit & 0x01010101u;
#pragma unroll
                for (int mt = 0; mt < MT; ++mt) {
                    const u32 row[4] = {a[mt][0] >> bit & 0x01010101u, a[mt][1] >> bit & 0x01010101u,
                                        a[mt][2] >> bit & 0x01010101u, a[mt][3] >> bit & 0x01010101u};
#pragma unroll
                    for (int nt = 0; nt < NT; ++nt) mma_bytes(acc[mt][nt], row, columns[nt / 2] + nt % 2 * 2);
                }
            }
#else
#pragma unroll
            for (int nt = 0; nt < NT; ++nt)
#pragma unroll
                for (int mt = 0; mt < MT; ++mt) mma_bits(acc[mt][nt], a[mt], b[nt / 2] + nt % 2 * 2);
#endif
        }

        DEVICE void count(Sums &sums, int power) const {
#pragma unroll
            for (int r = 0; r < 2 * MT; ++r)
                sums[r] += (u32)(__popc(a[r / 2][r % 2]) + __popc(a[r / 2][r % 2 + 2])) << power;
        }
    };

    static DEVICE void run(const Product &p, Chunk *shared) {
        const u32 tiles_m = (u32)((p.M + BM - 1) / BM), tiles_n = (u32)((columns_of(p) + BN - 1) / BN);
        const int warp = threadIdx.x / 32, wm = warp % warp_rows * WM, wn = warp / warp_rows * WN;
        const i64 slices = p.k_words > words ? (p.k_words + words - 1) / words : 1;
        u32 *all_sums = (u32 *)(shared + stages * stage);  // (warp_columns, BM)
        Row *rows = (Row *)(all_sums + warp_columns * BM);
        if (blockIdx.x >= tiles_m * tiles_n) return;

        Source source(p, rows, tiles_n, tiles_m);
#pragma unroll 1
        for (int s = 0; s < stages - 1; ++s) source.next(p, shared + s * stage, rows, slices, tiles_n, tiles_m);
        copies_wait<stages - 2>();
        __syncthreads();
        const Chunk *a = shared + wm * chunks, *b = shared + (BM + wn) * chunks;
        int reads = 0, writes = stages - 1;
        for (u32 tile = blockIdx.x; tile < tiles_m * tiles_n; tile += gridDim.x) {
            u32 acc[MT][NT][4];
            Sums sums;
#pragma unroll
            for (int mt = 0; mt < MT; ++mt) {
                sums[2 * mt] = sums[2 * mt + 1] = 0;
#pragma unroll
                for (int nt = 0; nt < NT; ++nt)
#pragma unroll
                    for (int r = 0; r < 4; ++r) acc[mt][nt][r] = 0;
            }
            Operands operands[2];
            operands[0].read(a + reads * stage, b + reads * stage, 0);
            Walk at(p);
#pragma unroll 1
            do {
                if (at.doubles)
#pragma unroll
                    for (int mt = 0; mt < MT; ++mt)
#pragma unroll
                        for (int nt = 0; nt < NT; ++nt)
#pragma unroll
                            for (int r = 0; r < 4; ++r) acc[mt][nt][r] *= 2;
                // The columns of warps share out the counting of A's bits.
                const int power = at.i, counted = p.beta != 0 && at.j == 0 ? warp / warp_rows : -1;
                at.next(p, slices);
#pragma unroll
                for (int step = 0; step < steps; ++step) {  // operands are read a step ahead
                    if (step + 1 < steps) {
                        operands[(step + 1) % 2].read(a + reads * stage, b + reads * stage, step + 1);
                    } else {
                        copies_wait<stages - 2>();
                        __syncthreads();
                        reads = reads + 1 == stages ? 0 : reads + 1;
                        if (!at.ends) operands[0].read(a + reads * stage, b + reads * stage, 0);
                    }
                    if (step == 0) {  // into the buffer that all warps have read
                        source.next(p, shared + writes * stage, rows, slices, tiles_n, tiles_m);
                        writes = writes + 1 == stages ? 0 : writes + 1;
                    }
                    operands[step % 2].multiply(acc);
                    if (counted == step % warp_columns) operands[step % 2].count(sums, power);
                }
            } while (!at.ends);
            finish(p, acc, sums, all_sums, tile, tiles_n, tiles_m);
        }
        copies_wait<0>();
    }

    static DEVICE void finish(const Product &p, u32 (&acc)[MT][NT][4], Sums &sums, u32 *all_sums, u32 tile, u32 tiles_n,
                              u32 tiles_m) {
        const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
        const int warp = threadIdx.x / 32, wm = warp % warp_rows * WM, wn = warp / warp_rows;
        i64 top, column;
        corner(tile, tiles_n, tiles_m, top, column);
        top += wm;
        column += wn * WN;
        if (p.beta != 0) {  // the next tile writes here after the barrier of its first slice
#pragma unroll
            for (int r = 0; r < 2 * MT; ++r) {
                sums[r] += __shfl_xor_sync(FULL, sums[r], 1);
                sums[r] += __shfl_xor_sync(FULL, sums[r], 2);
                if (t == 0) all_sums[wn * BM + wm + r * 8 + g] = sums[r];
            }
            __syncthreads();
#pragma unroll
            for (int r = 0; r < 2 * MT; ++r) {
                sums[r] = 0;
#pragma unroll
                for (int other = 0; other < warp_columns; ++other) sums[r] += all_sums[other * BM + wm + r * 8 + g];
                sums[r] *= (u32)p.beta;
            }
        }
        column += 2 * t;
        const int left = p.N - column < WN ? (int)(p.N - column) : WN;  // columns from this thread's first one on
        u32 gammas[2 * NT];  // of all columns before the first is used: one wait
#pragma unroll
        for (int e = 0; e < 2 * NT; ++e) {
            const int n = e / 2 * 8 + e % 2;
            gammas[e] = n < left ? (u32)p.gamma[column + n] : 0;
        }
#pragma unroll
        for (int e = 0; e < 2 * NT; ++e)
#pragma unroll
            for (int r = 0; r < 2 * MT; ++r) {
                u32 &value = acc[r / 2][e / 2][r % 2 * 2 + e % 2];
                value = (u32)p.alpha * value + sums[r] + gammas[e];
            }
        if (p.mode == INT32) {
            write_numbers(p, acc, top + g, column, left);
        } else {
            to_codes(p, acc, column, left);
            write_planes(p, acc, top + g, column / 32);
        }
    }

    // Accumulators become codes, 0 behind N. column: this thread's first of `left`.
    static DEVICE void to_codes(const Product &p, u32 (&acc)[MT][NT][4], i64 column, int left) {
        const int *flip = p.flip + column, *thresholds = p.thresholds + column;
        int flips[2 * NT], least[2 * NT];
#pragma unroll
        for (int e = 0; e < 2 * NT; ++e) {
            const int n = e / 2 * 8 + e % 2;
            flips[e] = least[e] = 0;
            if (p.mode == THRESHOLD && n < left) flips[e] = flip[n], least[e] = thresholds[n];
        }
#pragma unroll
        for (int e = 0; e < 2 * NT; ++e) {
            const int n = e / 2 * 8 + e % 2;
            u32 codes[2 * MT];
            if (n >= left) {
#pragma unroll
                for (int r = 0; r < 2 * MT; ++r) codes[r] = 0;
            } else if (p.mode == THRESHOLD) {
#pragma unroll
                for (int r = 0; r < 2 * MT; ++r)
                    codes[r] = reached(acc[r / 2][e / 2][r % 2 * 2 + e % 2], flips[e], least[e]);
                const int *next = thresholds + n;
#pragma unroll 1
                for (int level = 1; level < p.levels; ++level) {
                    next += p.N;
#pragma unroll
                    for (int r = 0; r < 2 * MT; ++r)
                        codes[r] += reached(acc[r / 2][e / 2][r % 2 * 2 + e % 2], flips[e], *next);
                }
            } else {
                const i64 multiplier = p.multiplier[column + n], offset = p.offset[column + n];
#pragma unroll
                for (int r = 0; r < 2 * MT; ++r)
                    codes[r] = requantized(p, multiplier, offset, acc[r / 2][e / 2][r % 2 * 2 + e % 2]);
            }
#pragma unroll
            for (int r = 0; r < 2 * MT; ++r) acc[r / 2][e / 2][r % 2 * 2 + e % 2] = codes[r];
        }
    }

    static DEVICE void write_numbers(const Product &p, const u32 (&acc)[MT][NT][4], i64 top, i64 column, int left) {
#pragma unroll
        for (int r = 0; r < 2 * MT; ++r) {
            if (top + r * 8 >= p.M) continue;
            int *out = (int *)p.out + (top + r * 8) * p.N + column;
#pragma unroll
            for (int nt = 0; nt < NT; ++nt) {
                const u32 x = acc[r / 2][nt][r % 2 * 2], y = acc[r / 2][nt][r % 2 * 2 + 1];
                if (p.N % 2 == 0) {
                    if (nt * 8 < left) store_pair(out + nt * 8, x, y);
                } else {
                    if (nt * 8 < left) out[nt * 8] = (int)x;
                    if (nt * 8 + 1 < left) out[nt * 8 + 1] = (int)y;
                }
            }
        }
    }

    static DEVICE void write_planes(const Product &p, const u32 (&acc)[MT][NT][4], i64 top, i64 first) {
        const int t = threadIdx.x % 4;
        const int left = p.out_row - first < NT / 4 ? (int)(p.out_row - first) : NT / 4;  // words
#pragma unroll 1
        for (int plane = 0; plane < p.bits; ++plane) {
#pragma unroll
            for (int r = 0; r < 2 * MT; ++r) {
                const i64 m = top + r * 8;
                u32 *out = (u32 *)p.out + plane * p.out_plane + m * p.out_row + first;
#pragma unroll
                for (int w = 0; w < NT / 4; ++w) {  // 32 columns are those of 4 lanes
                    u32 word = 0;
#pragma unroll
                    for (int e = 0; e < 8; ++e)
                        word |= (acc[r / 2][w * 4 + e / 2][r % 2 * 2 + e % 2] >> plane & 1) << (e / 2 * 8 + e % 2);
                    word <<= 2 * t;
                    word |= __shfl_xor_sync(FULL, word, 1);
                    word |= __shfl_xor_sync(FULL, word, 2);
                    if (t == 0 && m < p.M && w < left) out[w] = word;
                }
            }
        }
    }
};

typedef Tile<64, 64, 32, 32, 4, 4, false> Tile64;
typedef Tile<64, 64, 32, 32, 4, 4, true> Tile64Windows;
typedef Tile<128, 128, 64, 64, 4, 3, false> Tile128;
typedef Tile<128, 128, 64, 32, 4, 3, true> Tile128Windows;
typedef Tile<128, 256, 64, 64, 8, 4, false> Tile256;

#if defined(XNORFLOW_HOST) || __CUDA_ARCH__ >= 800
#define TILE_KERNEL(name, resident, Shape)                \
    GLOBAL(Shape::threads, resident) name(const Product p) { \
        DYNAMIC_SHARED(shared);                           \
        Shape::run(p, shared);                            \
    }
TILE_KERNEL(tile_64, 3, Tile64)
TILE_KERNEL(tile_64_windows, 3, Tile64Windows)
TILE_KERNEL(tile_128, 2, Tile128)
TILE_KERNEL(tile_128_windows, 1, Tile128Windows)
#if defined(XNORFLOW_HOST) || (__CUDA_ARCH__ >= 900 && __CUDA_ARCH__ < 1200)
TILE_KERNEL(tile_256, 1, Tile256)
#endif
#endif

// ---- Without tensor cores -----------------------------------------------------------------------------------------
// A block of 8 warps makes 8 x 32 accumulators: a warp 4 columns of 8 rows, its lanes every 32nd word of K. Small batches
// wait for weights, and here each is read once by neighbouring lanes.
template <bool windows> DEVICE void counted(const Product &p, i64 top, i64 column, u32 *all, u32 *all_sums) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    Row rows[8];
    const u32 *b[4];
    u32 acc[4][8], sums[8];
#pragma unroll
    for (int r = 0; r < 8; ++r) {
        rows[r] = row_of<windows>(p, top + r < p.M ? top + r : p.M - 1);
        sums[r] = 0;
#pragma unroll
        for (int c = 0; c < 4; ++c) acc[c][r] = 0;
    }
#pragma unroll
    for (int c = 0; c < 4; ++c) {
        const i64 n = column + warp * 4 + c;
        b[c] = p.b + (n < p.N ? n : p.N - 1) * p.b_row;
    }
    for (Walk at(p); !at.ends; at.next(p, 1)) {
        if (at.doubles)
#pragma unroll
            for (int r = 0; r < 8; ++r)
#pragma unroll
                for (int c = 0; c < 4; ++c) acc[c][r] *= 2;
#pragma unroll 1
        for (i64 k = lane; k < p.k_words; k += 32) {
            u32 words[4];
            const Tap tap = windows ? tap_of(p, k, at.i) : Tap{0, 0, 0, 0, false};
            const u32 pad = windows ? pad_of(p, tap, 0, at.i) : 0;
#pragma unroll
            for (int c = 0; c < 4; ++c) words[c] = b[c][at.j * p.b_plane + k];
#pragma unroll
            for (int r = 0; r < 8; ++r) {
                u32 a;
                if (windows)
                    a = inside(p, rows[r], tap) ? p.a[rows[r].start + tap.place] : pad;
                else
                    a = p.a[at.i * p.a_plane + rows[r].start + k];
                if (at.j == 0) sums[r] += (u32)__popc(a) << at.i;
#pragma unroll
                for (int c = 0; c < 4; ++c) acc[c][r] += __popc(a & words[c]);
            }
        }
    }
#pragma unroll
    for (int r = 0; r < 8; ++r) {
#pragma unroll
        for (int c = 0; c <= 4; ++c) {
            u32 total = c < 4 ? acc[c < 4 ? c : 0][r] : sums[r];
#pragma unroll
            for (int other = 16; other > 0; other /= 2) total += __shfl_xor_sync(FULL, total, other);
            if (lane == 0 && c < 4) all[r * 32 + warp * 4 + c] = total;
            if (lane == 0 && c == 4 && warp == 0) all_sums[r] = total;
        }
    }
    __syncthreads();
    const i64 m = top + warp, n = column + lane;
    u32 value = (u32)p.alpha * all[warp * 32 + lane] + (u32)p.beta * all_sums[warp] + (n < p.N ? (u32)p.gamma[n] : 0);
    if (p.mode == INT32) {
        if (m < p.M && n < p.N) ((int *)p.out)[m * p.N + n] = (int)value;
        return;
    }
    u32 code = 0;
    if (n < p.N && p.mode == REQUANTIZE) code = requantized(p, p.multiplier[n], p.offset[n], value);
    if (n < p.N && p.mode == THRESHOLD) {
        const int flip = p.flip[n];
        for (int level = 0; level < p.levels; ++level) code += reached(value, flip, p.thresholds[level * p.N + n]);
    }
#pragma unroll 1
    for (int plane = 0; plane < p.bits; ++plane) {
        const u32 word = __ballot_sync(FULL, code >> plane & 1);
        if (lane == 0 && m < p.M) ((u32 *)p.out)[plane * p.out_plane + m * p.out_row + column / 32] = word;
    }
}

enum { COUNT_BYTES = (8 * 32 + 8) * 4 };

template <bool windows> DEVICE void count_all(const Product &p, u32 *shared) {
    const u32 tiles_m = (u32)((p.M + 7) / 8), tiles_n = (u32)((columns_of(p) + 31) / 32);
    for (u32 tile = blockIdx.x; tile < tiles_m * tiles_n; tile += gridDim.x) {
        counted<windows>(p, (i64)(tile / tiles_n) * 8, (i64)(tile % tiles_n) * 32, shared, shared + 8 * 32);
        __syncthreads();
    }
}

GLOBAL(256, 2) count_plain(const Product p) {
    DYNAMIC_SHARED(shared);
    count_all<false>(p, (u32 *)shared);
}
GLOBAL(256, 1) count_windows(const Product p) {
    DYNAMIC_SHARED(shared);
    count_all<true>(p, (u32 *)shared);
}

// ---- Codes to planes and back -------------------------------------------------------------------------------------
// A warp makes a word of every plane of (planes, rows, words), zeros behind the columns; a warp of each thread block walks
// over the words with the grid as its stride.
template <class Level> DEVICE void pack_levels(u32 *out, i64 rows, i64 columns, i64 words, int planes, Level level_of) {
    const i64 step = (i64)gridDim.x * 8, lane = threadIdx.x % 32;
    for (i64 at = (i64)blockIdx.x * 8 + threadIdx.x / 32; at < rows * words; at += step) {
        const i64 row = at / words, column = (at - row * words) * 32 + lane;
        const u32 level = column < columns ? level_of(row * columns + column) : 0;
        for (int plane = 0; plane < planes; ++plane) {
            const u32 word = __ballot_sync(FULL, level >> plane & 1);
            if (lane == 0) out[plane * rows * words + at] = word;
        }
    }
}

// Bytes (rows, columns): table (256) has the level of each.
GLOBAL(256, 1) pack(const u8 *codes, const u8 *table, u32 *out, i64 rows, i64 columns, i64 words, int planes) {
    pack_levels(out, rows, columns, words, planes, [=](i64 at) -> u32 { return table[codes[at]]; });
}

// Values (rows, columns) that stand for whole numbers: level = (x - least) * scale, rounded; of -1/+1 with least -1 and scale
// 0.5 the bits.
GLOBAL(256, 1) pack_floats(const float *values, float least, float scale, u32 *out, i64 rows, i64 columns, i64 words,
                           int planes) {
    pack_levels(out, rows, columns, words, planes,
                [=](i64 at) -> u32 { return (u32)((values[at] - least) * scale + 0.5f); });
}

// Planes (planes, rows, words) to levels (rows, columns).
GLOBAL(256, 1) unpack(const u32 *in, u8 *levels, i64 rows, i64 columns, i64 words, int planes) {
    for (i64 at = (i64)blockIdx.x * 256 + threadIdx.x; at < rows * columns; at += (i64)gridDim.x * 256) {
        const i64 row = at / columns, column = at - row * columns;
        u32 level = 0;
        for (int plane = 0; plane < planes; ++plane)
            level |= (in[(plane * rows + row) * words + column / 32] >> column % 32 & 1) << plane;
        levels[at] = (u8)level;
    }
}

// ---- Around the products ------------------------------------------------------------------------------------------
struct Pool {
    const u32 *in;  // (planes, images, height, width, words)
    u32 *out;       // (planes, images, out_height, out_width, words)
    i64 images;
    int planes, height, width, words, out_height, out_width, kernel_y, kernel_x, stride_y, stride_x;
};

// The largest level of each window, 32 channels at a time: going down the planes, the first that differs says which of two
// levels is larger. At most 8 planes.
GLOBAL(256, 1) pool(const Pool p) {
    const i64 outputs = p.images * p.out_height * p.out_width * p.words;
    const i64 in_plane = p.images * p.height * p.width * p.words;
    for (i64 at = (i64)blockIdx.x * 256 + threadIdx.x; at < outputs; at += (i64)gridDim.x * 256) {
        const int word = (int)(at % p.words), x = (int)(at / p.words % p.out_width);
        const int y = (int)(at / p.words / p.out_width % p.out_height);
        const i64 image = at / p.words / p.out_width / p.out_height;
        const u32 *first = p.in + ((image * p.height + y * p.stride_y) * p.width + x * p.stride_x) * p.words + word;
        u32 most[8];
#pragma unroll
        for (int plane = 0; plane < 8; ++plane) most[plane] = 0;
        for (int dy = 0; dy < p.kernel_y; ++dy) {
            for (int dx = 0; dx < p.kernel_x; ++dx) {
                u32 larger = 0, smaller = 0, bits[8];
#pragma unroll
                for (int plane = 7; plane >= 0; --plane) {
                    bits[plane] = plane < p.planes ? first[plane * in_plane + ((i64)dy * p.width + dx) * p.words] : 0;
                    larger |= bits[plane] & ~most[plane] & ~smaller;
                    smaller |= ~bits[plane] & most[plane] & ~larger;
                }
#pragma unroll
                for (int plane = 0; plane < 8; ++plane) most[plane] = (bits[plane] & larger) | (most[plane] & ~larger);
            }
        }
#pragma unroll
        for (int plane = 0; plane < 8; ++plane)
            if (plane < p.planes) p.out[plane * outputs + at] = most[plane];
    }
}

// scores (rows, classes) = multiplier[c] * acc + offset[c], and the first largest of each row. A warp makes a row.
GLOBAL(256, 1) scores(const int *acc, const i64 *multiplier, const i64 *offset, i64 *out, i64 *best, i64 rows, i64 classes) {
    for (i64 row = (i64)blockIdx.x * 8 + threadIdx.x / 32; row < rows; row += (i64)gridDim.x * 8) {
        i64 most = (i64)1 << 63, place = classes;
        for (i64 c = threadIdx.x % 32; c < classes; c += 32) {
            const i64 score = multiplier[c] * acc[row * classes + c] + offset[c];
            out[row * classes + c] = score;
            if (score > most || place == classes) most = score, place = c;
        }
        for (int other = 16; other > 0; other /= 2) {
            const u32 low = __shfl_xor_sync(FULL, (u32)most, other), high = __shfl_xor_sync(FULL, (u32)(most >> 32), other);
            const i64 score = (i64)((unsigned long long)high << 32 | low);
            const i64 at = __shfl_xor_sync(FULL, (u32)place, other);
            if (at < classes && (place == classes || score > most || (score == most && at < place)))
                most = score, place = at;
        }
        if (threadIdx.x % 32 == 0) best[row] = place;
    }
}
