/// Which local program stands for which image.
package struct ImageMap: Sendable {
    /// Absolute paths by image name, without registry, tag and digest.
    package private(set) var programs: [String: String]

    package init(_ programs: [String: String]) { self.programs = programs }

    /// `docker.io/acme/web:1.2@sha256:..` is `web`.
    package static func name(of image: String) -> String {
        let last = image.split(separator: "/").last.map(String.init) ?? image
        return String(last.prefix { $0 != ":" && $0 != "@" })
    }

    /// What a container runs; nil when its image is not mapped.
    ///
    /// As in Kubernetes `command` replaces the image's entry point, the mapped program, and `arguments` follow.
    /// A command whose base name is a mapped image's name means that program, whatever directory it names.
    package func commandLine(image: String, command: [String], arguments: [String]) -> [String]? {
        guard let entrypoint = programs[Self.name(of: image)] else { return nil }
        guard let first = command.first else { return [entrypoint] + arguments }
        let base = first.split(separator: "/").last.map(String.init) ?? first
        return [programs[base] ?? first] + command.dropFirst() + arguments
    }
}
