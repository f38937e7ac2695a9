import ArgumentParser

/// The command line, for people and for CI; also a kubectl plugin (`kubectl heddle`).
@main
struct Heddle: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "heddle", abstract: "Takes a cluster into a service mesh, and ships releases through it.",
        version: "0.1.0",
        subcommands: [
            StatusCommand.self, AdoptionCommand.self, CanaryCommand.self, ExplainCommand.self, SandboxCommand.self,
            DemoCommand.self, CRDsCommand.self,
        ])
}
