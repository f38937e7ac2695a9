import ArgumentParser

/// The part of Heddle that runs in each meshed pod.
@main
struct HeddleAgent: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "heddle-agent",
        abstract: "Redirects a pod's traffic (capture), and keeps its Envoy running and certified (proxy).",
        subcommands: [CaptureCommand.self, ProxyCommand.self])
}
