import EnvoyConfig
import Foundation
import MeshModel
import SwiftProtobuf
import Testing

/// The whole of two proxies' configurations, as files that are reviewed like code.
/// `HEDDLE_REGENERATE_GOLDEN=1 swift test --filter GoldenTests` writes them anew.
struct GoldenTests {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden")

    static var meshes: [(String, WorkloadInstance, MeshSnapshot)] {
        var mesh = Shop.split(stable: 90, canary: 10)
        mesh.peerPolicies = [
            Shop.peerPolicy(.permissive), Shop.peerPolicy(.strict, ports: [9000: .disable], app: "catalog"),
        ]
        mesh.settings.tracing = TracingBackend(
            kind: .otlp, host: "tempo.observability.svc", port: 4318, path: "/v1/traces", samplingPercent: 10)
        return [("client", Shop.front, mesh), ("server", Shop.stable, mesh)]
    }

    @Test(arguments: meshes.map(\.0))
    func `A proxy's configuration is what was reviewed`(name: String) throws {
        let (_, workload, mesh) = try #require(Self.meshes.first { $0.0 == name })
        let configuration = ProxyConfiguration.make(for: workload, in: mesh)
        let parts: [(String, [any Message])] = [
            ("clusters", configuration.clusters), ("endpoints", configuration.endpoints),
            ("listeners", configuration.listeners), ("routes", configuration.routes),
        ]
        for (part, messages) in parts {
            let made = try Rendering.document(messages)
            let file = Self.folder.appending(path: "\(name)-\(part).json")
            if ProcessInfo.processInfo.environment["HEDDLE_REGENERATE_GOLDEN"] != nil {
                try FileManager.default.createDirectory(at: Self.folder, withIntermediateDirectories: true)
                try made.write(to: file, atomically: true, encoding: .utf8)
            }
            let reviewed = try String(contentsOf: file, encoding: .utf8)
            #expect(made == reviewed, "\(file.lastPathComponent) differs from the configuration that is made now")
        }
    }
}
