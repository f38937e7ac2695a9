import ArgumentParser

/// The part of Heddle that runs in each meshed pod.
@main
struct HeddleAgent: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "heddle-agent",
        abstract: "Redirects a pod's traffic (capture), and keeps its Envoy running and certified (proxy).",
        version: "0.1.0",
        subcommands: [CaptureCommand.self, ProxyCommand.self])
}
