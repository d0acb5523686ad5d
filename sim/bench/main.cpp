// Runs the bench without cocotb: a bare clock loop around the Verilated model. Written by xnorflow.
//
// Arguments: +bench=DIR (vectors and log), +images=N, +layers=0|1, +source_seed=S, +sink_seed=S, +quick (no speed).
// Prints one line; the exit status is 0 when nothing differed. Built with --trace-saif it writes toggles.saif.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "Vtop.h"
#include "verilated.h"
#if VM_TRACE_SAIF
#include "verilated_saif_c.h"
#endif

static uint64_t option(VerilatedContext& context, const char* name, uint64_t fallback) {
    const std::string match = context.commandArgsPlusMatch(name);
    const size_t at = match.find('=');
    return at == std::string::npos ? fallback : std::strtoull(match.c_str() + at + 1, nullptr, 0);
}

int main(int argc, char** argv) {
    const auto context = std::make_unique<VerilatedContext>();
    context->commandArgs(argc, argv);
    const auto top = std::make_unique<Vtop>(context.get());
#if VM_TRACE_SAIF
    context->traceEverOn(true);
    VerilatedSaifC toggles;
    top->trace(&toggles, 99);
#endif
    const auto half = [&](int clk) {
        top->clk = clk;
        top->eval();
#if VM_TRACE_SAIF
        if (toggles.isOpen()) toggles.dump(context->time());
#endif
        context->timeInc(5);
    };
    const auto tick = [&] {
        half(1);
        half(0);
    };
    const uint64_t images = option(*context, "images=", 16);
    top->images = images;
    top->layers = option(*context, "layers=", 1);
    top->source_seed = option(*context, "source_seed=", 0);
    top->sink_seed = option(*context, "sink_seed=", 0);
    top->waves_from = top->waves_to = 0;
    top->clk = 0;
    top->rst = 1;
    top->start = 0;
    top->eval();
    for (int i = 0; i < 4; ++i) tick();
    top->rst = 0;
    top->start = 1;
#if VM_TRACE_SAIF
    toggles.open("toggles.saif");  // reset is over: what is counted belongs to frames
#endif
    const auto begin = std::chrono::steady_clock::now();
    while (!top->done) tick();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    const bool pass = !top->hang && top->mismatches == 0;
    std::printf("%s: %llu images, %llu mismatches%s, %llu cycles", pass ? "PASS" : "FAIL",
                static_cast<unsigned long long>(images), static_cast<unsigned long long>(top->mismatches),
                top->hang ? ", the accelerator hangs" : "", static_cast<unsigned long long>(top->cycle));
    if (std::string(context->commandArgsPlusMatch("quick")).empty())
        std::printf(", %.6f s, %.1f kcycles/s", seconds.count(), 1e-3 * top->cycle / seconds.count());
    std::printf("\n");
#if VM_TRACE_SAIF
    toggles.close();
#endif
    top->final();
    return pass ? 0 : 1;
}
