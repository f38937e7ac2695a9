import EnvoyAPI
import EnvoyConfig
import Foundation
import SwiftProtobuf

/// A configuration as files that Envoy watches: what would come over a proxy's stream comes from them.
struct FileDiscovery {
    let folder: String

    /// For a bootstrap.
    var dynamicResources: BootstrapJSON { ["cds_config": source("cds"), "lds_config": source("lds")] }

    private func source(_ name: String) -> BootstrapJSON {
        ["path_config_source": ["path": .string(path(name))], "resource_api_version": "V3"]
    }

    private func path(_ name: String) -> String { "\(folder)/\(name).json" }

    /// Replaces what is there, each file in one step. File-based discovery has one assignment, and one set of routes, to
    /// a file.
    ///
    /// As over a stream, what is referred to comes before what refers and goes after it: clusters of `old` stay until the
    /// new routes and listeners are in.
    func write(_ made: ProxyConfiguration, replacing old: ProxyConfiguration? = nil) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for assignment in made.endpoints { try write("eds-\(assignment.clusterName)", [assignment]) { _ in "" } }
        let names = Set(made.clusters.map(\.name))
        let leaving = old?.clusters.filter { !names.contains($0.name) } ?? []
        try write("cds", made.clusters + leaving) { "eds-\($0.name)" }
        if old != nil { usleep(300_000) }
        for routes in made.routes { try write("rds-\(routes.name)", [routes]) { _ in "" } }
        try write("lds", made.listeners) { "rds-\(Self.routes(of: $0))" }
        guard !leaving.isEmpty else { return }
        usleep(300_000)
        try write("cds", made.clusters) { "eds-\($0.name)" }
    }

    private static func routes(of listener: EnvoyListener) -> String {
        guard let filter = listener.filterChains.first?.filters.first,
            let manager = try? Envoy_Extensions_Filters_Network_HttpConnectionManager_V3_HttpConnectionManager(
                unpackingAny: filter.typedConfig)
        else { return "" }
        return manager.rds.routeConfigName
    }

    /// For a bootstrap that has clusters and listeners itself: only so does `--mode validate` look at them.
    func staticResources(_ made: ProxyConfiguration) throws -> String {
        let clusters = try made.clusters.map { try json($0, source: "eds-\($0.name)") }
        let listeners = try made.listeners.map { try json($0, source: "rds-\(Self.routes(of: $0))") }
        return #"{"clusters":[\#(clusters.joined(separator: ","))],"listeners":[\#(listeners.joined(separator: ","))]}"#
    }

    private func json(_ resource: some Message, source: String) throws -> String {
        try Rendering.json(resource).replacingOccurrences(
            of: #"{"ads":{},"resource_api_version":"V3"}"#,
            with: #"{"path_config_source":{"path":"\#(path(source))"},"resource_api_version":"V3"}"#)
    }

    private func write<Resource: Message>(_ name: String, _ resources: [Resource], source: (Resource) -> String) throws
    {
        let type = #"{"@type":"type.googleapis.com/\#(Resource.protoMessageName)","#
        let parts = try resources.map { try type + json($0, source: source($0)).dropFirst() }
        try #"{"version_info":"1","resources":[\#(parts.joined(separator: ","))]}"#
            .write(toFile: path(name) + ".new", atomically: false, encoding: .utf8)
        guard rename(path(name) + ".new", path(name)) == 0 else {
            throw LiveHost.Failure(description: "rename \(path(name))")
        }
    }
}
