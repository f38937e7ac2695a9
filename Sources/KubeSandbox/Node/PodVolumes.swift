import Foundation
import KubeCore

extension KubeObject {
    /// A ConfigMap's or Secret's entries as bytes.
    var fileContents: [String: [UInt8]] {
        var result: [String: [UInt8]] = [:]
        for (key, value) in json["data"]?.stringMap ?? [:] {
            result[key] = kind == "Secret" ? Data(base64Encoded: value).map(Array.init) ?? [] : Array(value.utf8)
        }
        for (key, value) in json["binaryData"]?.stringMap ?? [:] {
            result[key] = Data(base64Encoded: value).map(Array.init) ?? []
        }
        for (key, value) in json["stringData"]?.stringMap ?? [:] { result[key] = Array(value.utf8) }
        return result
    }
}

/// A pod's volumes as directories: made when it starts, kept up to date with their sources, removed with it.
///
/// Not thread-safe: one task of the pod's worker uses it.
struct PodVolumes {
    let directory: String
    let cache: ClusterCache
    let tokens: ServiceAccountTokens
    let processes: ChildProcesses
    let podIP: String
    let hostIP: String

    func path(of volume: String) -> String { "\(directory)/volumes/\(volume)" }

    /// Makes or refreshes all volumes.
    /// - Returns: when a token wants to be renewed, if there is one.
    /// - Throws: `SandboxError` that names the volume and what is missing.
    func update(for pod: KubeObject) async throws -> Duration? {
        var renewal: Duration?
        for volume in pod.spec["volumes"]?.array ?? [] {
            let name = volume["name"]?.string ?? ""
            do {
                let next = try await update(volume, named: name, for: pod)
                renewal = [renewal, next].compactMap(\.self).min()
            } catch {
                throw SandboxError("volume \"\(name)\": \(error)")
            }
        }
        return renewal
    }

    private func update(_ volume: JSONValue, named name: String, for pod: KubeObject) async throws -> Duration? {
        let path = path(of: name)
        let isNew = !FileManager.default.fileExists(atPath: path)
        if let empty = volume["emptyDir"] {
            guard isNew else { return nil }
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            if empty["medium"]?.string == "Memory" {
                try await processes.require(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", path])
            } else {
                try FileManager.default.setAttributes([.posixPermissions: 0o1777], ofItemAtPath: path)
            }
            return nil
        }
        var files: [String: [UInt8]] = [:]
        var renewal: Duration?
        let sources: [JSONValue]
        if let projected = volume["projected"] {
            sources = projected["sources"]?.array ?? []
        } else if let secret = volume["secret"] {
            // A secret volume names its object by another field than a projected source.
            var source = secret
            source["name"] = secret["secretName"]
            sources = [["secret": source]]
        } else if volume["configMap"] != nil || volume["downwardAPI"] != nil {
            sources = [volume]
        } else {
            let kinds = (volume.object ?? [:]).keys.filter { $0 != "name" }.sorted().joined(separator: ", ")
            throw SandboxError(
                "the sandbox offers emptyDir, configMap, secret, downwardAPI and projected, not \(kinds)")
        }
        for source in sources {
            let (part, next) = try await contents(of: source, for: pod)
            files.merge(part) { $1 }
            renewal = [renewal, next].compactMap(\.self).min()
        }
        try AtomicDirectory(path: path).write(files)
        return renewal
    }

    private func contents(of source: JSONValue, for pod: KubeObject) async throws -> ([String: [UInt8]], Duration?) {
        for (field, resource) in [("configMap", GroupVersionResource.configMaps), ("secret", .secrets)] {
            guard let reference = source[field] else { continue }
            let name = reference["name"]?.string ?? ""
            let isOptional = reference["optional"]?.bool ?? false
            guard let object = cache.get(resource, namespace: pod.namespace, name: name) else {
                if isOptional { return ([:], nil) }
                throw SandboxError("\(resource.kind) \"\(name)\" not found")
            }
            guard let items = reference["items"]?.array, !items.isEmpty else { return (object.fileContents, nil) }
            var files: [String: [UInt8]] = [:]
            for item in items {
                guard let key = item["key"]?.string, let path = item["path"]?.string else { continue }
                guard let bytes = object.fileContents[key] else {
                    if isOptional { continue }
                    throw SandboxError("\(resource.kind) \"\(name)\" has no key \"\(key)\"")
                }
                files[path] = bytes
            }
            return (files, nil)
        }
        if let downward = source["downwardAPI"] {
            var files: [String: [UInt8]] = [:]
            let fields = PodFields(pod: pod, podIP: podIP, hostIP: hostIP)
            for item in downward["items"]?.array ?? [] {
                let value = try item[path: "fieldRef", "fieldPath"]?.string.map(fields.value) ?? "0"
                files[item["path"]?.string ?? ""] = Array(value.utf8)
            }
            return (files, nil)
        }
        if let token = source["serviceAccountToken"] {
            let issued = try await tokens.token(
                for: pod, audience: token["audience"]?.string, seconds: token["expirationSeconds"]?.int ?? 3600)
            return ([token["path"]?.string ?? "token": Array(issued.text.utf8)], issued.renewal)
        }
        throw SandboxError("a projected source of an unknown kind: \(source.serialized())")
    }

    /// Unmounts and removes everything; missing files are no failure.
    func remove(for pod: KubeObject) async {
        for volume in pod.spec["volumes"]?.array ?? [] where volume[path: "emptyDir", "medium"]?.string == "Memory" {
            _ = try? await processes.run(["umount", "-l", path(of: volume["name"]?.string ?? "")])
        }
        try? FileManager.default.removeItem(atPath: directory)
    }
}

/// A directory whose files change all at once: links through `..data`, which is swapped by one rename, as in kubelet.
struct AtomicDirectory {
    let path: String

    /// Makes the directory hold exactly these files (names may have slashes); does nothing when it already does.
    /// - Throws: `SandboxError` for a path that leads out, and file system errors.
    func write(_ files: [String: [UInt8]]) throws {
        let manager = FileManager.default
        for name in files.keys where name.isEmpty || name.hasPrefix("/") || name.split(separator: "/").contains("..") {
            throw SandboxError("\"\(name)\" is not a path inside the volume")
        }
        let data = path + "/..data"
        let previous = try? manager.destinationOfSymbolicLink(atPath: data)
        if previous != nil, holds(files, in: data) { return }
        let version = "..\(UInt64.random(in: 1...UInt64.max))"
        try manager.createDirectory(atPath: "\(path)/\(version)", withIntermediateDirectories: true)
        for (name, bytes) in files {
            let file = "\(path)/\(version)/\(name)"
            let parent = file.prefix(upTo: file.lastIndex(of: "/") ?? file.endIndex)
            try manager.createDirectory(atPath: String(parent), withIntermediateDirectories: true)
            try Data(bytes).write(to: URL(fileURLWithPath: file))
            try manager.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file)
        }
        let next = data + "_tmp"
        try? manager.removeItem(atPath: next)
        try manager.createSymbolicLink(atPath: next, withDestinationPath: version)
        guard rename(next, data) == 0 else { throw SandboxError("cannot swap \(data): errno \(errno)") }

        let top = Set(files.keys.compactMap { $0.split(separator: "/").first.map(String.init) })
        for name in top where (try? manager.destinationOfSymbolicLink(atPath: "\(path)/\(name)")) == nil {
            try manager.createSymbolicLink(atPath: "\(path)/\(name)", withDestinationPath: "..data/\(name)")
        }
        for name in try manager.contentsOfDirectory(atPath: path) where !name.hasPrefix("..") && !top.contains(name) {
            try manager.removeItem(atPath: "\(path)/\(name)")
        }
        if let previous { try? manager.removeItem(atPath: "\(path)/\(previous)") }
    }

    private func holds(_ files: [String: [UInt8]], in data: String) -> Bool {
        let present = FileManager.default.subpaths(atPath: data + "/")?.filter { name in
            var isDirectory: ObjCBool = false
            return FileManager.default.fileExists(atPath: "\(data)/\(name)", isDirectory: &isDirectory)
                && !isDirectory.boolValue
        }
        guard Set(present ?? []) == Set(files.keys) else { return false }
        return files.allSatisfy {
            FileManager.default.contents(atPath: "\(data)/\($0.key)").map(Array.init) == $0.value
        }
    }
}
