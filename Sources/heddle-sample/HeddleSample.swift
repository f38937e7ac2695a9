import ArgumentParser

/// A tiny service, a load generator and a one-shot client, for the demo and for tests.
@main
struct HeddleSample: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "heddle-sample",
        abstract: "A small service with settable faults, and a load generator that counts what went wrong.",
        version: "0.1.0",
        subcommands: [ServeCommand.self, LoadCommand.self, CallCommand.self, TracesCommand.self])
}
