import KubeCore
import Testing

struct JSONTextTests {
    static let wellFormed: [(String, JSONValue)] = [
        ("null", .null), ("true", .bool(true)), (" false ", .bool(false)), ("0", .int(0)), ("-0", .int(0)),
        ("-12", .int(-12)),
        ("9223372036854775807", .int(.max)), ("-9223372036854775808", .int(.min)),
        ("9223372036854775808", .double(9.223372036854775808e18)),
        ("1.0", .double(1)), ("1e3", .double(1000)), ("-1.5E-2", .double(-0.015)), (#""""#, .string("")),
        (#""a""#, .string("a")),
        (#""\"\\\/\b\f\n\r\t""#, .string("\"\\/\u{8}\u{C}\n\r\t")), (#""\u00e9\u4e2d""#, .string("é中")),
        (#""\uD83D\uDE00""#, .string("😀")), ("\"😀 raw\"", .string("😀 raw")), (#""\u0000""#, .string("\u{0}")),
        ("[]", .array([])), ("[1,[2],{}]", .array([.int(1), .array([.int(2)]), .object([:])])), ("{}", .object([:])),
        ("\t{\"a\" : 1 ,\r\n\"b\":[ ]}", .object(["a": .int(1), "b": .array([])])),
        (#"{"":0}"#, .object(["": .int(0)])),
    ]

    @Test(arguments: wellFormed)
    func `well-formed text is read`(_ text: String, _ value: JSONValue) throws {
        #expect(try JSONValue.parse(text) == value)
    }

    @Test(arguments: [
        "", " ", "nul", "nulL", "truefalse", "True", "01", "-", "-01", "+1", ".5", "1.", "1.e1", "1e", "1e+", "0x10",
        "1e400",
        "NaN", "Infinity", "'a'", "\"", "\"a", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12G4\"", #""\uD800""#,
        #""\uDC00""#,
        #""\uD800\u0041""#, #""\uD800\n""#, "\"a\nb\"", "\"\u{1}\"", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "]",
        "{", "{\"a\"",
        "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{1:1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}",
        "{\"a\":1,\"a\":2}",
        "[1] x", "{}{}", "// c\n1", "\u{FEFF}1",
    ])
    func `malformed text is refused with a place in it`(_ text: String) {
        #expect {
            _ = try JSONValue.parse(text)
        } throws: { error in
            guard let error = error as? JSONSyntaxError else { return false }
            return (0...text.utf8.count).contains(error.offset) && !error.message.isEmpty
        }
    }

    @Test(
        arguments: [
            [0x22, 0xFF, 0x22], [0x22, 0xC3, 0x22], [0x22, 0xC0, 0xAF, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
            [0x22, 0xF5, 0x80, 0x80, 0x80, 0x22], [0x22, 0x80, 0x22], [0x22, 0x5C, 0x6E, 0xFF, 0x22],
        ] as [[UInt8]])
    func `a string that is not UTF-8 is refused`(_ bytes: [UInt8]) {
        #expect(throws: JSONSyntaxError.self) { try JSONValue.parse(bytes) }
    }

    @Test func `nesting is bounded`() throws {
        let limit = JSONValue.maximumDepth
        let fits = String(repeating: "[", count: limit) + String(repeating: "]", count: limit)
        _ = try JSONValue.parse(fits)
        #expect(throws: JSONSyntaxError.self) { try JSONValue.parse("[" + fits + "]") }
        #expect(throws: JSONSyntaxError.self) { try JSONValue.parse(String(repeating: "{\"a\":", count: 100_000)) }
    }

    @Test func `equal values give equal bytes, sorted by name`() {
        let value: JSONValue = ["b": [1, 2.5, .null, true], "a": ["y": "é\n\"\u{1}", "x": [:]], "c": []]
        #expect(value.serialized() == #"{"a":{"x":{},"y":"é\n\"\u0001"},"b":[1,2.5,null,true],"c":[]}"#)
        #expect(
            value["a"]?.serialized(indented: true) == """
                {
                  "x": {},
                  "y": "é\\n\\"\\u0001"
                }
                """)
    }

    @Test func `numbers that JSON cannot write become null`() {
        #expect(JSONValue.array([.double(.nan), .double(.infinity)]).serialized() == "[null,null]")
    }

    @Test func `a double stays a double over text`() throws {
        for number in [1.0, 0.1, 1e21, .leastNonzeroMagnitude, 1.7976931348623157e308, -0.0, 1e20] {
            #expect(try JSONValue.parse(JSONValue.double(number).serialized()) == .double(number))
        }
    }

    @Test func `random values survive the way over text`() throws {
        var random = SplitMix(seed: 7)
        for _ in 0..<500 {
            let value = randomValue(&random, depth: 4)
            #expect(try JSONValue.parse(value.serialized()) == value)
            #expect(try JSONValue.parse(value.serialized(indented: true)) == value)
        }
    }

    @Test func `broken texts never crash, and what is accepted is stable`() {
        var random = SplitMix(seed: 42)
        for _ in 0..<3000 {
            var bytes = randomValue(&random, depth: 3).serializedBytes()
            for _ in 0...Int(random.next() % 3) where !bytes.isEmpty {
                let at = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 4 {
                case 0: bytes[at] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.remove(at: at)
                case 2: bytes.insert(Array("{}[]\",:\\u0-+.eE".utf8)[Int(random.next() % 15)], at: at)
                default: bytes.removeSubrange(at...)
                }
            }
            guard let value = try? JSONValue.parse(bytes) else { continue }
            #expect((try? JSONValue.parse(value.serializedBytes())) == value)
        }
    }
}
