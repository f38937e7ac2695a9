import ArgumentParser
import Foundation
import HeddleAPI
import KubeCore

/// `heddle adoption`: how workloads enter the mesh.
struct AdoptionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "adoption", abstract: "Look at the adoption of a mesh.", subcommands: [AdoptionStatusCommand.self],
        aliases: ["adoptions"])
}

/// `heddle adoption status NAME`.
struct AdoptionStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show an adoption: phase, workloads, blockers, measurements.")

    @OptionGroup var cluster: ClusterOptions
    @Argument(help: "The Adoption's name.") var name: String
    @Flag(name: .shortAndLong, help: "Show it again at every change, until interrupted.") var watch = false

    func run() async throws {
        try await cluster.withCluster { cluster in
            let adoption = try await ResourceFinder(cluster).find(Adoption.self, name)
            let terminal = Terminal.standard()
            guard watch else { return terminal.show(AdoptionView(adoption, now: Date())) }
            let follower = ObjectFollower(api: cluster.api, resource: .adoptions, key: adoption.key)
            try await PageFollower(follower: follower, terminal: terminal).show { object in
                AdoptionView(try ResourceFinder.read(object) as Adoption, now: Date())
            } until: { _ in
                false
            }
        }
    }
}
