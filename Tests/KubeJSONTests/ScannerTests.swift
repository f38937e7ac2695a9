import KubeJSON
import Testing

struct ScannerTests {
    @Test func `members are read in turn, and what nobody asks for is passed over`() throws {
        let bytes = Array(
            #" { "a" : 12 , "skip":{"x":["}",{"\"":"]"}]},"b":[true,false,null], "c":"\u00e9\ud83d\ude00\n" } "#.utf8)
        var scanner = JSONScanner(bytes.span)
        var found: [String] = []
        try scanner.beginObject()
        var isFirst = true
        while let name = try scanner.nextName(&isFirst) {
            switch scanner.string(name) {
            case "a": found.append("\(try scanner.int())")
            case "b":
                try scanner.beginArray()
                var isFirst = true
                while try scanner.nextElement(&isFirst) {
                    found.append(try scanner.null() ? "null" : "\(try scanner.bool())")
                }
            case "c": found.append(try scanner.string())
            default: try scanner.skip()
            }
        }
        try scanner.end()
        #expect(found == ["12", "true", "false", "null", "é😀\n"])
    }

    @Test(arguments: [
        ("", JSONFailure.Kind.truncated, 0), ("[", .truncated, 1), (#""ab"#, .truncated, 3), (#""\"#, .truncated, 2),
        (#""\u12"#, .truncated, 5), ("tru", .truncated, 3), ("-", .truncated, 1), ("1.", .truncated, 2),
        ("1e+", .truncated, 3),
        ("trux", .expectedValue, 0), ("[1,]", .expectedValue, 3), ("[1 2]", .expectedCommaOrBracket, 3),
        ("nulL", .expectedValue, 0),
        ("{1:2}", .expectedName, 1), (#"{"a" 1}"#, .expectedColon, 5), (#"{"a":1 "b":2}"#, .expectedCommaOrBrace, 7),
        ("01", .leadingZero, 0), ("-01", .leadingZero, 0), ("-x", .malformedNumber, 0), ("1.e1", .malformedNumber, 0),
        ("1e999", .numberOutOfRange, 0), ("[1e400]", .numberOutOfRange, 1), ("\"a\nb\"", .controlCharacter, 2),
        (#""ab\x""#, .unknownEscape, 3), (#""\u12G4""#, .malformedUnicodeEscape, 5), (#""a\ud800""#, .loneSurrogate, 2),
        (#""\udc00""#, .loneSurrogate, 1), (#""\ud800\u0041""#, .loneSurrogate, 1), ("1 2", .trailingText, 2),
        ("nan", .expectedValue, 0),
    ])
    func `each mistake has its name and its byte`(_ text: String, _ kind: JSONFailure.Kind, _ offset: Int) {
        let found = failure(text) { s throws(JSONFailure) in try readAll(&s) }
        #expect(found == JSONFailure(kind, at: offset))
    }

    @Test func `asking for what is not there fails at the value`() {
        let found: [JSONFailure?] = [
            failure(" []") { s throws(JSONFailure) in try s.beginObject() },
            failure(" {}") { s throws(JSONFailure) in try s.beginArray() },
            failure(" 1") { s throws(JSONFailure) in _ = try s.string() as String },
            failure(" 1.5") { s throws(JSONFailure) in _ = try s.int() },
            failure(" 1") { s throws(JSONFailure) in _ = try s.bool() },
        ]
        let kinds: [JSONFailure.Kind] = [
            .expectedObject, .expectedArray, .expectedString, .expectedInteger, .expectedBool,
        ]
        #expect(found == kinds.map { JSONFailure($0, at: 1) })
    }

    @Test(arguments: [
        ("0", JSONNumber.int(0)), ("-0", .int(0)), ("9223372036854775807", .int(.max)),
        ("-9223372036854775808", .int(.min)),
        ("9223372036854775808", .double(9_223_372_036_854_775_808)),
        ("-9223372036854775809", .double(-9_223_372_036_854_775_808)),
        ("18446744073709551616", .double(18_446_744_073_709_551_616)), ("1.0", .double(1)), ("1e3", .double(1000)),
        ("-1.5E-2", .double(-0.015)), ("1e-400", .double(0)),
    ])
    func `whole numbers stay whole as long as they fit`(_ text: String, _ number: JSONNumber) throws {
        let bytes = Array(text.utf8)
        var scanner = JSONScanner(bytes.span)
        let read = try scanner.number()
        #expect(read == number)
    }

    @Test func `a number at the end of what has come so far may go on`() {
        let found = failure(Array("12".utf8), isWhole: false) { s throws(JSONFailure) in _ = try s.number() }
        #expect(found == JSONFailure(.truncated, at: 2))
    }

    @Test func `nesting is bounded, also around a part of a document`() {
        let bytes = Array((String(repeating: "[", count: 5) + String(repeating: "]", count: 5)).utf8)
        for (depth, fits) in [(0, true), (3, true), (4, false)] {
            var scanner = JSONScanner(bytes.span, depth: depth, maximumDepth: 8)
            let isRead: Bool
            do throws(JSONFailure) {
                try readAll(&scanner)
                isRead = true
            } catch {
                isRead = false
            }
            #expect(isRead == fits)
        }
    }

    @Test func `a million open brackets are passed over without a stack for each`() {
        let bytes = [UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)
        let found = failure(bytes) { s throws(JSONFailure) in try s.skip() }
        #expect(found == JSONFailure(.truncated, at: 1_000_000))
    }
}

/// Reads the next value; passes over nothing that has parts.
private func readAll(_ scanner: inout JSONScanner) throws(JSONFailure) {
    switch try scanner.peek() {
    case UInt8(ascii: "{"):
        try scanner.beginObject()
        var isFirst = true
        while try scanner.nextName(&isFirst) != nil { try readAll(&scanner) }
    case UInt8(ascii: "["):
        try scanner.beginArray()
        var isFirst = true
        while try scanner.nextElement(&isFirst) { try readAll(&scanner) }
    default: try scanner.skip()
    }
}
