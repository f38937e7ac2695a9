import ArgumentParser
import NIOCore
import Testing

@testable import heddle_sample

@Suite struct SettingsTests {
    @Test(arguments: [
        ("http://cart:8080/", "cart", 8080, "/"), ("http://cart", "cart", 80, "/"),
        ("http://[::1]:81/a?b=c", "::1", 81, "/a?b=c"), ("http://127.0.0.1:9/x/y", "127.0.0.1", 9, "/x/y"),
    ])
    func urlsAreParsed(text: String, host: String, port: Int, path: String) throws {
        let url = try WireURL(text)
        #expect(url.host == host && url.port == port && url.path == path)
    }

    @Test(arguments: [
        "https://cart/", "cart:8080", "http://:80/", "http://cart:0/", "http://cart:99999/", "http://cart:x/",
    ])
    func badURLsAreRefused(text: String) {
        #expect(throws: WireURL.Malformed.self) { try WireURL(text) }
    }

    @Test func optionsBeatTheEnvironmentAndItBeatsDefaults() throws {
        let command = try ServeCommand.parse(["--port", "9000", "--error-percent", "5"])
        let settings = try command.settings(environment: [
            "SAMPLE_PORT": "7000", "SAMPLE_LATENCY_MS": "12.5", "POD_NAME": "cart-1",
            "SAMPLE_CALLS": "http://a/,http://b:81/",
        ])
        #expect(settings.port == 9000)
        #expect(settings.latencyMS == 12.5)
        #expect(settings.errorPercent == 5)
        #expect(settings.pod == "cart-1")
        #expect(settings.version == "v1")
        #expect(settings.calls.map(\.description) == ["http://a/", "http://b:81/"])
    }

    @Test func aBadEnvironmentValueIsNamed() throws {
        let command = try ServeCommand.parse([])
        let error = #expect(throws: ValidationError.self) {
            try command.settings(environment: ["SAMPLE_LATENCY_MS": "fast"])
        }
        #expect(error?.message.contains("SAMPLE_LATENCY_MS") == true)
    }

    @Test func faultsComeAtTheSetShare() {
        var settings = ServeSettings()
        settings.errorPercent = 10
        settings.slowPercent = 25
        settings.slowMS = 200
        settings.latencyMS = 1
        var random = SystemRandomNumberGenerator()
        let fates = (0..<20_000).map { _ in settings.fate(using: &random) }
        let failed = fates.count { $0.fails }
        let slow = fates.count { $0.delay > .milliseconds(100) }
        #expect((1700...2300).contains(failed))
        #expect((4600...5400).contains(slow))
        settings.errorPercent = 0
        #expect(!(0..<1000).contains { _ in settings.fate(using: &random).fails })
    }
}
