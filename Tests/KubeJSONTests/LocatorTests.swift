import KubeJSON
import Testing

struct LocatorTests {
    private static let document =
        #"{"items":[{"a":1},{"spec":{"containers":[{"image":"x"},{"ports":[{"n":1},{"n":"TEN"}]}]},"metadata":{"labels":{"app.kubernetes.io/name":BAD}}}]}"#

    @Test(arguments: [
        ("TEN", "$.items[1].spec.containers[1].ports[1].n"),
        ("BAD", #"$.items[1].metadata.labels["app.kubernetes.io/name"]"#),
        ("\"x\"", "$.items[1].spec.containers[0].image"), ("{\"items", "$"), ("{\"spec", "$.items[1]"),
    ])
    func `an offset has a path`(_ mark: String, _ path: String) throws {
        let bytes = Array(Self.document.utf8)
        let mark = Array(mark.utf8)
        let offset = try #require(
            (0..<bytes.count - mark.count).first { bytes[$0..<$0 + mark.count].elementsEqual(mark) })
        #expect(JSONLocator.path(of: offset, in: bytes.span) == path)
    }

    @Test func `any bytes and any offset give a path and no trap`() {
        var state: UInt64 = 9
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let alphabet = Array("{}[]\",:\\a1 \u{1}é".utf8) + [0xFF]
        for _ in 0..<20_000 {
            let bytes = (0..<next(24)).map { _ in alphabet[next(alphabet.count)] }
            let offset = next(30)
            #expect(JSONLocator.path(of: offset, in: bytes.span).hasPrefix("$"))
            _ = JSONLocator.duplicate(in: bytes.span, objectAt: min(offset, bytes.count))
        }
    }

    @Test func `paths and names have an end`() {
        let deep = Array(String(repeating: "[", count: 5000).utf8)
        #expect(JSONLocator.path(of: 5000, in: deep.span).utf8.count < 200)
        let long = Array("{\"\(String(repeating: "n", count: 5000))\":x".utf8)
        #expect(JSONLocator.path(of: long.count - 1, in: long.span).utf8.count < 120)
    }
}
