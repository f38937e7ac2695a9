import KubeJSON
import Testing

/// Strings: UTF-8, escapes, and the words of eight and blocks of sixty-four bytes that they are looked at in.
struct TextTests {
    @Test func `exactly what the standard library takes for UTF-8 is accepted`() {
        func check(_ content: [UInt8]) {
            let quoted = [0x22] + content + [0x22]
            var scanner = JSONScanner(quoted.span)
            let read = try? scanner.string()
            #expect(read == String(validating: content, as: UTF8.self), "\(content)")
        }
        let edges: [UInt8] = [
            0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEE,
        ]
        let leads: [UInt8] = Array(0xC0...0xFF) + [0x80, 0xBF]
        for lead in leads {
            check([lead])
            for second in edges {
                check([lead, second])
                for third in edges where lead >= 0xE0 {
                    check([lead, second, third])
                    for fourth in edges where lead >= 0xF0 { check([lead, second, third, fourth]) }
                }
            }
        }
    }

    @Test func `a string is found whole wherever it lies and however long it is`() throws {
        for before in 0..<18 {
            for length in 0..<40 {
                let content = String((0..<length).map { Character(Unicode.Scalar(UInt8(ascii: "a") + UInt8($0 % 26))) })
                for tail in ["", "é", #"\""#, #"\\"#] {
                    let text = String(repeating: " ", count: before) + "\"\(content)\(tail)\",\"next\""
                    let bytes = Array(text.utf8)
                    var scanner = JSONScanner(bytes.span)
                    let expected = content + (tail == #"\""# ? "\"" : tail == #"\\"# ? "\\" : tail)
                    let read = try scanner.string()
                    #expect(read == expected)
                    #expect(scanner.position == bytes.count - 7)
                }
            }
        }
    }

    @Test func `a container is passed over to its own end, wherever its strings and backslashes lie`() throws {
        let insides = [
            #""]""#, #""\"]""#, #""\\""#, #""\\\"]""#, #""\\\\""#, #"{"a":["}"]}"#, #""é]""#, "[[],{}]", "1", #""""#,
            "\"" + String(repeating: #"\\"#, count: 40) + "\"", "\"" + String(repeating: #"\""#, count: 40) + "\"",
        ]
        for inside in insides {
            for padding in 0..<140 {
                let value = #"["\#(String(repeating: "x", count: padding))",\#(inside),\#(inside)]"#
                let bytes = Array((value + #","]}{"#).utf8)
                var scanner = JSONScanner(bytes.span)
                try scanner.skip()
                #expect(scanner.position == value.utf8.count, "\(value)")
            }
        }
    }

    @Test func `what is passed over is UTF-8 too`() {
        for padding in [0, 70] {
            let bytes = Array("[\"\(String(repeating: "x", count: padding))".utf8) + [0xC3, 0x28] + Array("\"]".utf8)
            let found = failure(bytes) { s throws(JSONFailure) in try s.skip() }
            #expect(found == JSONFailure(.invalidUTF8, at: 2 + padding))
        }
    }

    @Test func `cached strings are the same strings, in a table that does not grow`() {
        let cache = StringCache(places: 4, seed: 1)
        for round in 0..<3 {
            for index in 0..<200 {
                let text = "app.kubernetes.io/name-\(index)-\(String(repeating: "é", count: index % 70))"
                let bytes = Array(text.utf8)
                #expect(bytes.withUnsafeBufferPointer { cache.string($0) } == text, "round \(round)")
            }
        }
    }
}
