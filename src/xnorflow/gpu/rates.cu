// How fast a GPU's tensor cores multiply bits: mma.sync (sm_80 to sm_90) and, compiled for sm_90a, wgmma. No memory is read
// in the loops; a product of matrices can at best reach these rates. Compiled by NVRTC like kernel.cu.

typedef unsigned int u32;
typedef unsigned long long u64;

// Bits to multiply: `pattern`, or, where it is 0, something without order (a multiplication of zeros is cheaper).
static __device__ __forceinline__ u32 bits_of(u32 pattern, u32 seed) {
    return pattern ? pattern : (seed + 1) * 2654435761u ^ (seed * 40503u >> 7);
}

#if __CUDA_ARCH__ >= 800 && __CUDA_ARCH__ <= 900
// Blocks of 256 threads. A step of a warp is 16 products of 16 x 8 x 256; out: (blocks * 256), the sum of each thread's 64
// results: of the pattern of ones 64 * 256 * steps.
extern "C" __global__ void __launch_bounds__(256, 1) mma_rate(u32 *out, int steps, u32 pattern) {
    u32 d[16][4], a[4], b[2];
#pragma unroll
    for (int i = 0; i < 16; ++i) d[i][0] = d[i][1] = d[i][2] = d[i][3] = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) a[i] = bits_of(pattern, threadIdx.x * 4 + i);
    b[0] = bits_of(pattern, threadIdx.x + 5000);
    b[1] = bits_of(pattern, threadIdx.x + 7000);
#pragma unroll 1
    for (int step = 0; step < steps; ++step)
#pragma unroll
        for (int i = 0; i < 16; ++i)
            asm volatile("mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                         "{%0,%1,%2,%3};"
                         : "+r"(d[i][0]), "+r"(d[i][1]), "+r"(d[i][2]), "+r"(d[i][3])
                         : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    u32 sum = 0;
#pragma unroll
    for (int i = 0; i < 16; ++i) sum += d[i][0] + d[i][1] + d[i][2] + d[i][3];
    out[blockIdx.x * 256 + threadIdx.x] = sum;
}
#endif

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
// d += popcount(a & b) over 64 x 256 x 256, by the 128 threads of a warpgroup, operands in shared memory.
static __device__ __forceinline__ void wgmma(u32 (&d)[128], u64 a, u64 b) {
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n256k256.s32.b1.b1.and.popc "
                 "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
                 "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
                 "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
                 "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
                 "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
                 "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
                 "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
                 "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, "
                 "%128, %129, p;\n}\n"
                 : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3]), "+r"(d[4]), "+r"(d[5]), "+r"(d[6]), "+r"(d[7]),
                   "+r"(d[8]), "+r"(d[9]), "+r"(d[10]), "+r"(d[11]), "+r"(d[12]), "+r"(d[13]), "+r"(d[14]), "+r"(d[15]),
                   "+r"(d[16]), "+r"(d[17]), "+r"(d[18]), "+r"(d[19]), "+r"(d[20]), "+r"(d[21]), "+r"(d[22]), "+r"(d[23]),
                   "+r"(d[24]), "+r"(d[25]), "+r"(d[26]), "+r"(d[27]), "+r"(d[28]), "+r"(d[29]), "+r"(d[30]), "+r"(d[31]),
                   "+r"(d[32]), "+r"(d[33]), "+r"(d[34]), "+r"(d[35]), "+r"(d[36]), "+r"(d[37]), "+r"(d[38]), "+r"(d[39]),
                   "+r"(d[40]), "+r"(d[41]), "+r"(d[42]), "+r"(d[43]), "+r"(d[44]), "+r"(d[45]), "+r"(d[46]), "+r"(d[47]),
                   "+r"(d[48]), "+r"(d[49]), "+r"(d[50]), "+r"(d[51]), "+r"(d[52]), "+r"(d[53]), "+r"(d[54]), "+r"(d[55]),
                   "+r"(d[56]), "+r"(d[57]), "+r"(d[58]), "+r"(d[59]), "+r"(d[60]), "+r"(d[61]), "+r"(d[62]), "+r"(d[63]),
                   "+r"(d[64]), "+r"(d[65]), "+r"(d[66]), "+r"(d[67]), "+r"(d[68]), "+r"(d[69]), "+r"(d[70]), "+r"(d[71]),
                   "+r"(d[72]), "+r"(d[73]), "+r"(d[74]), "+r"(d[75]), "+r"(d[76]), "+r"(d[77]), "+r"(d[78]), "+r"(d[79]),
                   "+r"(d[80]), "+r"(d[81]), "+r"(d[82]), "+r"(d[83]), "+r"(d[84]), "+r"(d[85]), "+r"(d[86]), "+r"(d[87]),
                   "+r"(d[88]), "+r"(d[89]), "+r"(d[90]), "+r"(d[91]), "+r"(d[92]), "+r"(d[93]), "+r"(d[94]), "+r"(d[95]),
                   "+r"(d[96]), "+r"(d[97]), "+r"(d[98]), "+r"(d[99]), "+r"(d[100]), "+r"(d[101]), "+r"(d[102]), "+r"(d[103]),
                   "+r"(d[104]), "+r"(d[105]), "+r"(d[106]), "+r"(d[107]), "+r"(d[108]), "+r"(d[109]), "+r"(d[110]), "+r"(d[111]),
                   "+r"(d[112]), "+r"(d[113]), "+r"(d[114]), "+r"(d[115]), "+r"(d[116]), "+r"(d[117]), "+r"(d[118]), "+r"(d[119]),
                   "+r"(d[120]), "+r"(d[121]), "+r"(d[122]), "+r"(d[123]), "+r"(d[124]), "+r"(d[125]), "+r"(d[126]), "+r"(d[127])
                 : "l"(a), "l"(b));
}

// A matrix of rows of 32 bytes without swizzle: 8 x 16 byte cores, 128 bytes to the core beside, 256 to the one below.
static __device__ __forceinline__ u64 descriptor(const u32 *shared) {
    const u64 address = (u64)__cvta_generic_to_shared(shared);
    return (address & 0x3ffff) >> 4 | (u64)(128 >> 4) << 16 | (u64)(256 >> 4) << 32;
}

// Blocks of 256 threads, two warpgroups. A step of each is 4 products of 64 x 256 x 256; out: (blocks * 256), the sum of each
// thread's 128 results: of the pattern of ones 128 * 256 * 4 * steps.
extern "C" __global__ void __launch_bounds__(256, 1) wgmma_rate(u32 *out, int steps, u32 pattern) {
    __shared__ alignas(1024) u32 a[64 * 8], b[256 * 8];
    for (int i = threadIdx.x; i < 64 * 8; i += 256) a[i] = bits_of(pattern, i);
    for (int i = threadIdx.x; i < 256 * 8; i += 256) b[i] = bits_of(pattern, i + 5000);
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    u32 d[128];
#pragma unroll
    for (int i = 0; i < 128; ++i) d[i] = 0;
    const u64 at_a = descriptor(a), at_b = descriptor(b);
#pragma unroll 1
    for (int step = 0; step < steps; ++step) {
        asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
        for (int i = 0; i < 4; ++i) wgmma(d, at_a, at_b);
        asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" ::: "memory");
    }
    u32 sum = 0;
#pragma unroll
    for (int i = 0; i < 128; ++i) sum += d[i];
    out[blockIdx.x * 256 + threadIdx.x] = sum;
}
#endif
