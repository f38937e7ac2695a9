import ArgumentParser
import Testing

@testable import heddle_agent

@Suite struct CaptureRulesTests {
    @Test func theDefaultsCaptureEverythingButTheAgentsOwnPorts() throws {
        try Golden.expect(CaptureRules().render(), matches: "capture-default.nft")
    }

    @Test func everyOptionShowsInTheRules() throws {
        let command = try CaptureCommand.parse([
            "--proxy-uid", "2000", "--inbound-port", "16006", "--outbound-port", "16001",
            "--include-inbound-ports", "8080,9090", "--exclude-inbound-ports", "15021,15020",
            "--exclude-outbound-ports", "3306,22", "--exclude-outbound-cidrs", "169.254.169.254/32,fd00::/8",
            "--include-outbound-cidrs", "10.96.0.0/12,fc00::/7",
        ])
        try Golden.expect(try command.rules().render(), matches: "capture-options.nft")
    }

    @Test func anEmptyInclusionCapturesNothingInbound() throws {
        let rules = try CaptureCommand.parse(["--include-inbound-ports", ""]).rules()
        #expect(!rules.render().contains("redirect to :15006"))
    }

    @Test(arguments: [
        ["--exclude-outbound-cidrs", "10.0.0.0/33"], ["--exclude-outbound-cidrs", "host/8"],
        ["--exclude-outbound-cidrs", "10.0.0.0/8; drop"], ["--include-outbound-cidrs", "::/129"],
        ["--exclude-inbound-ports", "80,http"], ["--outbound-port", "0"], ["--exclude-outbound-ports", "70000"],
        ["--proxy-uid", "-1"],
    ])
    func badOptionsAreRefusedByName(arguments: [String]) {
        let error = #expect(throws: (any Error).self) { try CaptureCommand.parse(arguments).rules() }
        let message = error.map { CaptureCommand.message(for: $0) } ?? ""
        #expect(message.contains(arguments[0]), "\(message)")
    }

    @Test func nftsComplaintsBecomeRemedies() {
        let denied = NetfilterTool.explanation(of: "Error: Could not process rule: Operation not permitted")
        #expect(denied.contains("NET_ADMIN"))
        #expect(NetfilterTool.explanation(of: "-:3:1: Error: syntax error").contains("syntax error"))
    }
}
