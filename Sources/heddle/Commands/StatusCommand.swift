import ArgumentParser
import Foundation
import HeddleAPI
import KubeCore

/// `heddle status`: the cluster at a glance.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show the mesh, and all adoptions, releases and policies.",
        discussion: "Shows all namespaces, or one with --namespace.")

    @OptionGroup var cluster: ClusterOptions

    func run() async throws {
        let view = try await cluster.withCluster { try await Self.gather($0.api, namespace: cluster.namespace) }
        Terminal.standard().show(view)
    }

    static func gather(_ api: any ClusterAPI, namespace: String?) async throws -> StatusView {
        var view = StatusView(meshes: [], now: Date())
        view.meshes = try await read(api, nil, &view.unreadable)
        view.adoptions = try await read(api, namespace, &view.unreadable)
        view.canaries = try await read(api, namespace, &view.unreadable)
        view.servicePolicies = try await read(api, namespace, &view.unreadable)
        return view
    }

    private static func read<Spec, Status>(
        _ api: any ClusterAPI, _ namespace: String?, _ unreadable: inout [StatusView.Unreadable]
    ) async throws -> [Resource<Spec, Status>] {
        var resources: [Resource<Spec, Status>] = []
        for object in try await ResourceFinder.list(Spec.resource, namespace: namespace, api: api) {
            do {
                resources.append(try Resource<Spec, Status>(object))
            } catch {
                unreadable.append(.init(kind: Spec.resource.kind, key: object.key, problem: error))
            }
        }
        return resources
    }
}
