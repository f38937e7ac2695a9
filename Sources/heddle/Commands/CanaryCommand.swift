import ArgumentParser
import Foundation
import HeddleAPI
import KubeCore

/// `heddle canary`: releases.
struct CanaryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "canary", abstract: "Look at a release, approve it, abort it, undo it.",
        subcommands: [
            CanaryStatusCommand.self, CanaryApproveCommand.self, CanaryAbortCommand.self, CanaryUndoCommand.self,
        ], aliases: ["canaries"])
}

/// `heddle canary status NAME`.
struct CanaryStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show a release: step, weights, pods, evidence, and what it waits for.",
        discussion: """
            For scripts: 'heddle canary status NAME --watch --exit-code' waits until the release that was just applied has
            ended, and exits with 0 when it is promoted, or there was nothing to release, and with 1 when it was rolled back,
            withdrawn or has failed.
            """)

    @OptionGroup var cluster: ClusterOptions
    @Argument(help: "The Canary's name.") var name: String
    @Flag(name: .shortAndLong, help: "Show it again at every change, until interrupted.") var watch = false
    @Flag(
        help: "Exit with 1 for a release that was rolled back or has failed; with --watch, end when the release ends.")
    var exitCode = false

    func run() async throws {
        let outcome = try await cluster.withCluster { cluster in
            let canary = try await ResourceFinder(cluster).find(Canary.self, name)
            let terminal = Terminal.standard()
            if watch { return try await follow(canary.key, cluster.api, terminal) }
            terminal.show(CanaryView(canary, now: Date()))
            return try await Self.outcome(canary, cluster.api, sawRun: false)
        }
        if exitCode, let code = outcome.exitCode, code != 0 { throw ExitCode(code) }
    }

    private func follow(_ key: ObjectKey, _ api: any ClusterAPI, _ terminal: Terminal) async throws -> ReleaseOutcome {
        var outcome = ReleaseOutcome.underWay
        var sawRun = false
        let follower = ObjectFollower(api: api, resource: .canaries, key: key)
        try await PageFollower(follower: follower, terminal: terminal).show { object in
            CanaryView(try ResourceFinder.read(object) as Canary, now: Date())
        } until: { object in
            guard exitCode else { return false }
            let canary: Canary = try ResourceFinder.read(object)
            sawRun = sawRun || canary.status.phase.isRunning
            outcome = try await Self.outcome(canary, api, sawRun: sawRun)
            return outcome != .underWay
        }
        return outcome
    }

    private static func outcome(_ canary: Canary, _ api: any ClusterAPI, sawRun: Bool) async throws -> ReleaseOutcome {
        // While a run is under way nothing else matters, and no further request is spent on it.
        let target =
            canary.status.phase.isRunning
            ? nil
            : try await api.find(.deployments, namespace: canary.namespace, name: canary.spec.targetRef.name)
        return ReleaseOutcome(canary, target: target, sawRun: sawRun)
    }
}

/// `heddle canary approve NAME`.
struct CanaryApproveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approve", abstract: "Let the step that waits for approval end; with --promote, skip the rest.")

    @OptionGroup var cluster: ClusterOptions
    @Argument(help: "The Canary's name.") var name: String
    @Flag(help: "Promote now, whatever the evidence says.") var promote = false

    func run() async throws {
        try await cluster.withCluster { cluster in
            print(try await ReleaseRequests(ResourceFinder(cluster)).approve(name, promote: promote))
        }
    }
}

/// `heddle canary abort NAME`.
struct CanaryAbortCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "abort", abstract: "Take the running release back to 0 % at once.")

    @OptionGroup var cluster: ClusterOptions
    @Argument(help: "The Canary's name.") var name: String

    func run() async throws {
        try await cluster.withCluster { cluster in
            print(try await ReleaseRequests(ResourceFinder(cluster)).abort(name))
        }
    }
}

/// `heddle canary undo NAME`.
struct CanaryUndoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "undo", abstract: "Put the stable template back into the Deployment, and resume it.",
        discussion: """
            After a rollback the Deployment stays paused on the rejected template, so that what is in Git stays true. This puts
            the template of the pods that serve back in place. A release that is under way ends.
            """)

    @OptionGroup var cluster: ClusterOptions
    @Argument(help: "The Canary's name.") var name: String

    func run() async throws {
        try await cluster.withCluster { cluster in
            print(try await ReleaseRequests(ResourceFinder(cluster)).undo(name))
        }
    }
}
