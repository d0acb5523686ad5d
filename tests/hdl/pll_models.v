// Stand-ins for PLLs: the clock goes through as it is, and the lock comes late.

module xnorflow_lock (input clock, output reg locked = 0);
    reg [13:0] count = 0;
    always @(posedge clock) begin
        if (count == 14'd12000) locked <= 1; else count <= count + 1;
    end
endmodule

module EHXPLLL #(
    parameter CLKFB_DIV = 1, CLKI_DIV = 1, CLKOP_CPHASE = 0, CLKOP_DIV = 1, CLKOP_ENABLE = "", CLKOP_FPHASE = 0,
    DPHASE_SOURCE = "", FEEDBK_PATH = "", INTFB_WAKE = "", OUTDIVIDER_MUXA = "", PLLRST_ENA = "", STDBY_ENABLE = ""
) (
    input CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG, PLLWAKESYNC, ENCLKOP,
    output CLKOP, LOCK
);
    assign CLKOP = CLKI;
    xnorflow_lock lock (.clock(CLKI), .locked(LOCK));
endmodule
