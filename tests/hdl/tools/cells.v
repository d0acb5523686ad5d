// Memories and products of all kinds that designs hold: the subject of tests of cell models. Every output changes only
// with the clock; the memories' contents come from files of their names.
module cells (
    input  wire        clk,
    input  wire [15:0] addr, write_addr,
    input  wire [11:0] write_enable,
    input  wire [31:0] write_data,
    input  wire [71:0] a, b,
    output wire [89:0] narrow, wide, deep, thin, one,
    output wire [89:0] written, lut_written, lut,
    output reg  [35:0] mixed, apart,
    output reg  [ 7:0] bytes,
    output reg  [79:0] product
);
  xnorflow_rom #(.WIDTH(5), .DEPTH(4096), .ADDR_WIDTH(12), .INIT_FILE("narrow_rom.hex"), .STYLE("block")) narrow_rom
      (.clk(clk), .addr(addr[11:0]), .data(narrow[4:0]));
  xnorflow_rom #(.WIDTH(90), .DEPTH(512), .ADDR_WIDTH(9), .INIT_FILE("wide_rom.hex"), .STYLE("block")) wide_rom
      (.clk(clk), .addr(addr[8:0]), .data(wide));
  xnorflow_rom #(.WIDTH(19), .DEPTH(1024), .ADDR_WIDTH(10), .INIT_FILE("deep_rom.hex"), .STYLE("block")) deep_rom
      (.clk(clk), .addr(addr[9:0]), .data(deep[18:0]));
  xnorflow_rom #(.WIDTH(2), .DEPTH(8192), .ADDR_WIDTH(13), .INIT_FILE("thin_rom.hex"), .STYLE("block")) thin_rom
      (.clk(clk), .addr(addr[12:0]), .data(thin[1:0]));
  xnorflow_rom #(.WIDTH(1), .DEPTH(16384), .ADDR_WIDTH(14), .INIT_FILE("one_rom.hex"), .STYLE("block")) one_rom
      (.clk(clk), .addr(addr[13:0]), .data(one[0]));
  xnorflow_rom #(.WIDTH(7), .DEPTH(32), .ADDR_WIDTH(5), .INIT_FILE("lut_rom.hex"), .STYLE("lut")) lut_rom
      (.clk(clk), .addr(addr[4:0]), .data(lut[6:0]));
  xnorflow_ram #(.WIDTH(67), .DEPTH(1024), .ADDR_WIDTH(10), .INIT_FILE("ram.hex"), .STYLE("block")) ram
      (.clk(clk), .addr(addr[9:0]), .data(written[66:0]), .write_enable(write_enable),
       .write_addr(write_addr[9:0]), .write_data(write_data));
  xnorflow_ram #(.WIDTH(9), .DEPTH(16), .ADDR_WIDTH(4), .INIT_FILE("lut_ram.hex"), .STYLE("auto")) lut_ram
      (.clk(clk), .addr(addr[3:0]), .data(lut_written[8:0]), .write_enable(write_enable[3:0]),
       .write_addr(write_addr[3:0]), .write_data(write_data));

  xnorflow_ram #(.WIDTH(4), .DEPTH(4096), .ADDR_WIDTH(12), .INIT_FILE("thin_ram.hex"), .STYLE("block")) thin_ram
      (.clk(clk), .addr(addr[11:0]), .data(written[70:67]), .write_enable(write_enable[11:8]),
       .write_addr(write_addr[11:0]), .write_data(write_data));

  // A buffer as line buffers and FIFOs have it: written and read at places of their own.
  reg [35:0] buffer [0:1023];
  initial mixed = 0;
  always @(posedge clk) begin
    if (write_enable[0]) buffer[write_addr[9:0]] <= {write_data[3:0], write_data};
    if (addr[15]) mixed <= buffer[addr[9:0]];
  end

  integer k;
  // Read and written in one cycle only at different places: ports that are one for writing and one for reading.
  (* no_rw_check *) reg [35:0] words [0:511];
  (* no_rw_check *) reg [7:0] letters [0:2047];
  initial begin
    apart = 0;
    bytes = 0;
  end
  always @(posedge clk) begin
    for (k = 0; k < 4; k = k + 1)
      if (write_enable[4+k]) words[write_addr[8:0]][9*k+:9] <= write_data[5*k+:9];
    if (write_enable[2]) letters[write_addr[10:0]] <= write_data[7:0];
    if (addr[8:0] != write_addr[8:0]) begin
      apart <= words[addr[8:0]];
      bytes <= letters[addr[10:0]];
    end
  end

  wire signed [17:0] sa = a[17:0], sb = b[17:0];
  initial product = 0;
  always @(posedge clk) begin
    product[35:0] <= sa * sb;
    product[79:36] <= a[71:54] * b[40:20] + a[53:50];
  end
  assign {narrow[89:5], deep[89:19], thin[89:2], one[89:1], lut[89:7], written[89:71], lut_written[89:9]} = 0;
endmodule
