#!/usr/bin/env python3
"""Reads a TensorBoard event file with nothing but Python: TFRecord framing, CRC-32C bit by bit, and the wire format
of Protocol Buffers, by the field numbers of TensorFlow's event.proto and summary.proto. Prints a JSON object per
event; ends with 1 and says where if a checksum is wrong or anything is not as it should be.
Usage: read_events.py FILE"""

import json
import struct
import sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def check(condition, what, offset):
    if not condition:
        sys.exit(f"{what} at byte {offset}")


def check_masked_crc(data, masked, what, offset):
    crc = crc32c(data)
    expected = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    check(struct.unpack("<I", masked)[0] == expected, f"wrong checksum of {what}", offset)


def records(data):
    """The payloads of the records of a file."""
    offset = 0
    while offset < len(data):
        check(len(data) - offset >= 12, "half a header", offset)
        check_masked_crc(data[offset : offset + 8], data[offset + 8 : offset + 12], "a length", offset)
        (length,) = struct.unpack_from("<Q", data, offset)
        start, end = offset + 12, offset + 12 + length
        check(end + 4 <= len(data), "half a record", offset)
        check_masked_crc(data[start:end], data[end : end + 4], "a record", offset)
        yield data[start:end]
        offset = end + 4


def varint(data, offset):
    value = shift = 0
    while True:
        byte = data[offset]
        value |= (byte & 0x7F) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 0x80:
            return value, offset


def fields(data):
    """(field number, wire type, value) of a message; values are ints for varints, bytes for all else."""
    offset = 0
    while offset < len(data):
        key, offset = varint(data, offset)
        kind = key & 7
        if kind == 0:
            value, offset = varint(data, offset)
        else:
            check(kind in (1, 2, 5), f"wire type {kind}", offset)
            length, offset = varint(data, offset) if kind == 2 else ({1: 8, 5: 4}[kind], offset)
            value, offset = data[offset : offset + length], offset + length
            check(len(value) == length, "half a field", offset)
        yield key >> 3, kind, value


def doubles(value):
    return list(struct.unpack(f"<{len(value) // 8}d", value))


def histogram(data):
    names = {1: "min", 2: "max", 3: "num", 4: "sum", 5: "sum_squares", 6: "bucket_limit", 7: "bucket"}
    result = {name: 0.0 for name in list(names.values())[:5]}  # proto3 leaves zeros out
    for number, kind, value in fields(data):
        check(kind == (2 if number >= 6 else 1), f"wire type {kind} of field {number} of a histogram", 0)
        result[names[number]] = doubles(value) if number >= 6 else doubles(value)[0]
    return result


def summary_value(data):
    result = {}
    for number, kind, value in fields(data):
        check((number, kind) in ((1, 2), (2, 5), (5, 2)), f"field {number} of wire type {kind} of a value", 0)
        if number == 1:
            result["tag"] = value.decode()
        elif number == 2:
            result["simple_value"] = struct.unpack("<f", value)[0]
        else:
            result["histo"] = histogram(value)
    return result


def event(data):
    result = {"step": 0, "values": []}
    for number, kind, value in fields(data):
        check((number, kind) in ((1, 1), (2, 0), (3, 2), (5, 2), (7, 2)), f"field {number} of wire type {kind} of an event", 0)
        if number == 1:
            result["wall_time"] = doubles(value)[0]
        elif number == 2:
            result["step"] = value
        elif number == 3:
            result["file_version"] = value.decode()
        elif number == 7:
            check(list(fields(value)) == [(1, 0, 1)], "a session log that is no START", 0)
            result["session"] = "start"
        else:
            check(all(field == 1 for field, _, _ in fields(value)), "a summary with other fields than values", 0)
            result["values"] += [summary_value(one) for _, _, one in fields(value)]
    return result


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    for record in records(data):
        print(json.dumps(event(record)))


if __name__ == "__main__":
    main()
