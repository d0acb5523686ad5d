// What the product of kernel.cu is measured against: the kernels of "Binarized Neural Networks" (Hubara et al., 2016), section
// 4, that is a tiled product of matrices in float32 and the same one on 32 bits at a time. Compiled by NVRTC like kernel.cu.
//
// Blocks of 256 threads, one for each 16 x 16 tile of the result, of which blockIdx.x counts row after row.

typedef unsigned int u32;
typedef long long i64;

// out (M, N) = sum of multiply(a[m][k], b[n][k]) over k, K words of a row.
template <class Element, class Sum, class Multiply>
static __device__ __forceinline__ Sum dot(const Element *a, const Element *b, i64 M, i64 N, i64 K, i64 &m, i64 &n,
                                          Multiply multiply) {
    __shared__ Element rows[16][16], columns[16][17];
    const i64 tiles_n = (N + 15) / 16, top = blockIdx.x / tiles_n * 16, left = blockIdx.x % tiles_n * 16;
    const int y = threadIdx.x / 16, x = threadIdx.x % 16;
    m = top + y;
    n = left + x;
    Sum sum = 0;
    for (i64 k = 0; k < K; k += 16) {
        rows[y][x] = m < M && k + x < K ? a[m * K + k + x] : 0;
        columns[x][y] = left + y < N && k + x < K ? b[(left + y) * K + k + x] : 0;
        __syncthreads();
#pragma unroll
        for (int i = 0; i < 16; ++i) sum = multiply(rows[y][i], columns[i][x], sum);
        __syncthreads();
    }
    return sum;
}

extern "C" __global__ void __launch_bounds__(256) plain_float(const float *a, const float *b, float *out, i64 M, i64 N, i64 K) {
    i64 m, n;
    const float sum =
        dot<float, float>(a, b, M, N, K, m, n, [](float x, float y, float before) { return before + x * y; });
    if (m < M && n < N) out[m * N + n] = sum;
}

// Bits of -1/+1, 32 to a word, zeros behind the last: out = bits - 2 popcount(a ^ b).
extern "C" __global__ void __launch_bounds__(256) plain_xnor(const u32 *a, const u32 *b, int *out, i64 M, i64 N, i64 words,
                                                             int bits) {
    i64 m, n;
    const int sum = dot<u32, int>(a, b, M, N, words, m, n, [](u32 x, u32 y, int before) { return before + __popc(x ^ y); });
    if (m < M && n < N) out[m * N + n] = bits - 2 * sum;
}
