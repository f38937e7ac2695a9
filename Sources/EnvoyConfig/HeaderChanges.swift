import EnvoyAPI
import MeshModel
import SwiftProtobuf

extension HeaderOperations {
    private static let authorityNames: Set<String> = [":authority", "host"]

    /// The new authority: Envoy changes it only through a host rewrite.
    var authority: String? {
        self.set.first { Self.authorityNames.contains($0.key.lowercased()) }?.value
    }

    var additions: [Envoy_Config_Core_V3_HeaderValueOption] {
        options(set, .overwriteIfExistsOrAdd) + options(add, .appendIfExistsOrAdd)
    }

    var removals: [String] { remove.filter { !Self.authorityNames.contains($0.lowercased()) }.sorted() }

    private func options(
        _ headers: [String: String], _ action: Envoy_Config_Core_V3_HeaderValueOption.HeaderAppendAction
    ) -> [Envoy_Config_Core_V3_HeaderValueOption] {
        headers.filter { !Self.authorityNames.contains($0.key.lowercased()) }.sorted { $0.key < $1.key }.map {
            name, value in
            .with {
                $0.header.key = name
                $0.header.value = value
                $0.appendAction = action
            }
        }
    }
}
