import ArgumentParser

/// `heddle-agent capture`
struct CaptureCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "capture",
        abstract: "Redirect this network namespace's TCP traffic to Envoy.",
        discussion: "Needs nft and the capability NET_ADMIN. Safe to run again: the rules are replaced as a whole.")

    @Option(help: "User id of Envoy and the agent; their connections are not captured.") var proxyUid = 1337
    @Option(help: "Envoy's port for inbound traffic.") var inboundPort = 15006
    @Option(help: "Envoy's port for outbound traffic.") var outboundPort = 15001
    @Option(help: "Inbound ports to capture, separated by commas; * for all.") var includeInboundPorts = "*"
    @Option(help: "Inbound ports left alone.") var excludeInboundPorts = "15020,15021,15090"
    @Option(help: "Outbound destination ports left alone.") var excludeOutboundPorts = ""
    @Option(help: "Destination networks to capture; * for all.") var includeOutboundCidrs = "*"
    @Option(help: "Destination networks left alone.") var excludeOutboundCidrs = ""
    @Flag(help: "Print the rules and change nothing.") var dryRun = false

    func run() async throws {
        let script = try rules().render()
        guard !dryRun else { return print(script, terminator: "") }
        do {
            try await NetfilterTool.load(script)
        } catch {
            ChildProcess.complain("heddle-agent capture: \(error)")
            throw ExitCode.failure
        }
    }

    func rules() throws -> CaptureRules {
        var rules = CaptureRules()
        rules.proxyUID = proxyUid
        rules.inboundPort = try Self.port(String(inboundPort), "--inbound-port")
        rules.outboundPort = try Self.port(String(outboundPort), "--outbound-port")
        rules.includeInboundPorts =
            includeInboundPorts == "*" ? nil : try Self.ports(includeInboundPorts, "--include-inbound-ports")
        rules.excludeInboundPorts = try Self.ports(excludeInboundPorts, "--exclude-inbound-ports")
        rules.excludeOutboundPorts = try Self.ports(excludeOutboundPorts, "--exclude-outbound-ports")
        rules.includeOutboundCIDRs =
            includeOutboundCidrs == "*" ? nil : try Self.networks(includeOutboundCidrs, "--include-outbound-cidrs")
        rules.excludeOutboundCIDRs = try Self.networks(excludeOutboundCidrs, "--exclude-outbound-cidrs")
        guard proxyUid >= 0 else { throw ValidationError("--proxy-uid \(proxyUid) is no user id") }
        return rules
    }

    private static func ports(_ text: String, _ option: String) throws -> [Int] {
        try text.split(separator: ",").map { try port(String($0), option) }
    }

    private static func port(_ text: String, _ option: String) throws -> Int {
        guard let port = Int(text), (1...65535).contains(port) else {
            throw ValidationError("\(option): '\(text)' is no port (1 to 65535)")
        }
        return port
    }

    private static func networks(_ text: String, _ option: String) throws -> [CIDR] {
        try text.split(separator: ",").map {
            guard let network = CIDR(String($0)) else {
                throw ValidationError("\(option): '\($0)' is no network such as 10.0.0.0/8 or fd00::/8")
            }
            return network
        }
    }
}
