"""How arrays are compressed in stores. Each chunk carries a CRC-32C."""

from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

NUMBERS = (BloscCodec(cname="zstd", clevel=1, shuffle="shuffle"), Crc32cCodec())
QUICK = (
    BloscCodec(cname="lz4", clevel=9, shuffle="shuffle"),
    Crc32cCodec(),
)  # half the time of zstd; files 14 % larger
TEXT = (ZstdCodec(level=1), Crc32cCodec())
