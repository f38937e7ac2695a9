import EnvoyConfig
import FoundationEssentials

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Key, certificate and trust bundle on disk, replaced as one.
///
/// As the kubelet does for Secrets: the files are links through `..data`, which one rename points to a new directory.
/// So no reader ever sees a key beside another key's certificate, and Envoy, which watches the directory for moves,
/// reloads.
struct CertificateFiles: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private static let current = "..data"

    let files: SidecarFiles

    /// Makes the directories and the files that tell Envoy where its secrets are.
    func prepare() throws {
        try makeDirectory(files.certificates)
        try makeDirectory(files.root + "/sds")
        try replace(files.identitySDS, with: files.identitySecretDocument.text)
        try replace(files.trustSDS, with: files.trustSecretDocument.text)
    }

    /// Puts a new set into place; then removes the earlier sets.
    func install(key: String, chain: String, trustBundle: String) throws {
        let directory = files.certificates
        let contents = [files.privateKey: key, files.certificateChain: chain, files.trustBundle: trustBundle]
        let generation = "..\(UInt64.random(in: .min ... .max))"
        try makeDirectory(directory + "/" + generation)
        for (path, text) in contents {
            try write(text, to: "\(directory)/\(generation)/\(name(of: path))")
        }
        try swapLink(directory + "/" + Self.current, to: generation)
        for path in contents.keys where !FileManager.default.fileExists(atPath: path) {
            try swapLink(path, to: "\(Self.current)/\(name(of: path))")
        }
        for entry in try FileManager.default.contentsOfDirectory(atPath: directory)
        where entry.hasPrefix("..") && entry != generation && entry != Self.current {
            try FileManager.default.removeItem(atPath: directory + "/" + entry)
        }
    }

    /// Writes a file that only this user can read, by a rename.
    func replace(_ path: String, with text: String) throws {
        try write(text, to: path + ".new")
        try move(path + ".new", to: path)
    }

    private func name(of path: String) -> String { String(path.split(separator: "/").last ?? "") }

    private func makeDirectory(_ path: String) throws {
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    private func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("cannot create", path) }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        var offset = 0
        while offset < bytes.count {
            let written = bytes.withUnsafeBytes { buffer in
                #if canImport(Glibc)
                    Glibc.write(descriptor, buffer.baseAddress?.advanced(by: offset), bytes.count - offset)
                #else
                    Darwin.write(descriptor, buffer.baseAddress?.advanced(by: offset), bytes.count - offset)
                #endif
            }
            guard written > 0 else { throw failure("cannot write", path) }
            offset += written
        }
    }

    private func swapLink(_ path: String, to target: String) throws {
        let temporary = path + ".new"
        unlink(temporary)
        guard symlink(target, temporary) == 0 else { throw failure("cannot link", path) }
        try move(temporary, to: path)
    }

    private func move(_ source: String, to path: String) throws {
        guard rename(source, path) == 0 else { throw failure("cannot replace", path) }
    }

    private func failure(_ what: String, _ path: String) -> Failure {
        Failure(description: "\(what) \(path): \(String(cString: strerror(errno)))")
    }
}
