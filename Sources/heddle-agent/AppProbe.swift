import FoundationEssentials

/// A probe that the injector took from one of the application's containers: what the kubelet would have asked.
///
/// Decoded from `HEDDLE_APP_PROBES`, a JSON object from path (`/app-health/<container>/readyz`) to probe, in the shape
/// of Kubernetes' probe handlers.
struct AppProbe: Equatable, Sendable {
    enum Check: Equatable, Sendable {
        case http(path: String, port: Int, isTLS: Bool, headers: [Header])
        case tcp(port: Int)
        case grpc(port: Int, service: String)
    }

    struct Header: Equatable, Sendable, Decodable {
        let name: String
        let value: String
    }

    var check: Check
    /// Kubernetes' default is one second.
    var timeout: Duration = .seconds(1)

    /// Reads the injector's JSON. An empty text means no probes.
    static func parse(_ json: String) throws -> [String: AppProbe] {
        guard !json.isEmpty else { return [:] }
        return try JSONDecoder().decode([String: AppProbe].self, from: Data(json.utf8))
    }
}

extension AppProbe: Decodable {
    private enum Key: CodingKey { case httpGet, tcpSocket, grpc, timeoutSeconds }
    private enum ActionKey: CodingKey { case path, port, scheme, headers, httpHeaders, service }

    init(from decoder: any Decoder) throws {
        let probe = try decoder.container(keyedBy: Key.self)
        if probe.contains(.httpGet) {
            let action = try probe.nestedContainer(keyedBy: ActionKey.self, forKey: .httpGet)
            let path = try action.decodeIfPresent(String.self, forKey: .path) ?? "/"
            check = .http(
                path: path.hasPrefix("/") ? path : "/" + path, port: try action.decode(Int.self, forKey: .port),
                isTLS: try action.decodeIfPresent(String.self, forKey: .scheme)?.uppercased() == "HTTPS",
                headers: try action.decodeIfPresent([Header].self, forKey: .headers)
                    ?? action.decodeIfPresent([Header].self, forKey: .httpHeaders) ?? [])
        } else if probe.contains(.tcpSocket) {
            let action = try probe.nestedContainer(keyedBy: ActionKey.self, forKey: .tcpSocket)
            check = .tcp(port: try action.decode(Int.self, forKey: .port))
        } else if probe.contains(.grpc) {
            let action = try probe.nestedContainer(keyedBy: ActionKey.self, forKey: .grpc)
            check = .grpc(
                port: try action.decode(Int.self, forKey: .port),
                service: try action.decodeIfPresent(String.self, forKey: .service) ?? "")
        } else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "a probe needs httpGet, tcpSocket or grpc"))
        }
        let seconds = try probe.decodeIfPresent(Int.self, forKey: .timeoutSeconds) ?? 1
        timeout = .seconds(max(1, seconds))
    }
}
