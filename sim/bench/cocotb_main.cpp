// Runs the bench under cocotb with a clock of its own, a rising edge every 10 ns on `clk`. cocotb's main program leaves
// clocks to cocotb, which costs two time steps through VPI a cycle, more than a fast design's cycle itself; here a cycle
// in which nothing happens that cocotb waits for costs what it costs in a bare loop. Written by xnorflow.
#include <algorithm>
#include <cstdint>
#include <memory>

#include "Vtop.h"
#include "verilated.h"
#include "verilated_vpi.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

extern "C" void vlog_startup_routines_bootstrap();  // starts cocotb

static constexpr uint64_t HALF_PERIOD = 5000;  // picoseconds, the simulation's precision
static uint64_t now = 0;

double sc_time_stamp() { return static_cast<double>(now); }

// Calls those who wait for a signal to change, which may change others; whether there was anyone.
static bool call_waiting() {
    bool any = false;
    while (VerilatedVpi::callValueCbs()) any = true;
    return any;
}

// The rest of a time step in which cocotb took part: evaluate until it writes nothing more.
static void settle(Vtop& top) {
    do {
        do {
            top.eval();
            VerilatedVpi::clearEvalNeeded();
            VerilatedVpi::doInertialPuts();
            call_waiting();
        } while (VerilatedVpi::evalNeeded());
        VerilatedVpi::callCbs(cbReadWriteSynch);
        VerilatedVpi::doInertialPuts();
        call_waiting();
    } while (VerilatedVpi::evalNeeded());
    VerilatedVpi::callCbs(cbReadOnlySynch);
}

int main(int argc, char** argv) {
    Verilated::commandArgs(argc, argv);
    Verilated::fatalOnVpiError(false);  // cocotb asks for system tasks that Verilator does not have
#if VM_TRACE
    Verilated::traceEverOn(true);
#endif
    const auto top = std::make_unique<Vtop>("");
#if VM_TRACE
    VerilatedVcdC trace;
    top->trace(&trace, 99);
    trace.open("bench.vcd");
#endif
    vlog_startup_routines_bootstrap();
    VerilatedVpi::callCbs(cbStartOfSimulation);
    call_waiting();
    settle(*top);
    uint64_t edge = HALF_PERIOD;
    while (!Verilated::gotFinish()) {
        const uint64_t deadline = VerilatedVpi::cbNextDeadline();
        now = std::min(deadline, edge);
        bool waited_for = false;
        if (now == deadline) {
            VerilatedVpi::callCbs(cbNextSimTime);
            VerilatedVpi::callTimedCbs();
            call_waiting();
            waited_for = true;
        }
        if (now == edge) {
            edge += HALF_PERIOD;
            top->clk = !top->clk;
            top->eval();
            waited_for |= call_waiting();
        }
        if (waited_for) settle(*top);
#if VM_TRACE
        if (top->tracing) trace.dump(now);
#endif
    }
    top->final();
#if VM_TRACE
    trace.close();
#endif
    VerilatedVpi::callCbs(cbEndOfSimulation);
    return Verilated::threadContextp()->errorCount() > 0;
}
