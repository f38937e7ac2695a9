import EnvoyConfig
import FoundationEssentials
import Logging
import MeshIdentity

/// Everything `heddle-agent proxy` has to know, read from the pod's environment and checked.
struct ProxySettings: Sendable {
    /// A variable that is missing or wrong, by name.
    struct Problem: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    var namespace: String
    var podName: String
    var podIP: String
    var serviceAccount: String
    var nodeName: String
    var labels: [String: String]
    var trustDomain: String
    var discovery: SidecarBootstrap.Address
    var authority: SidecarBootstrap.Address
    var probes: [String: AppProbe]
    var logLevel: Logger.Level
    var drainSeconds: Int
    var certificateSeconds: Int

    init(environment: [String: String]) throws {
        func text(_ name: String, _ fallback: String? = nil) throws -> String {
            if let value = environment[name], !value.isEmpty { return value }
            guard let fallback else { throw Problem(description: "the environment variable \(name) is missing") }
            return fallback
        }
        func number(_ name: String, _ fallback: Int) throws -> Int {
            let value = try text(name, String(fallback))
            guard let number = Int(value), number >= 0 else {
                throw Problem(description: "\(name)='\(value)' is no whole number of seconds")
            }
            return number
        }
        namespace = try text("POD_NAMESPACE")
        podName = try text("POD_NAME")
        podIP = try text("POD_IP")
        serviceAccount = try text("SERVICE_ACCOUNT", "default")
        nodeName = try text("NODE_NAME", "")
        trustDomain = try text("HEDDLE_TRUST_DOMAIN", "cluster.local")
        discovery = try Self.address(try text("HEDDLE_DISCOVERY_ADDRESS", "heddle-operator.heddle-system.svc:15012"))
        authority = try Self.address(try text("HEDDLE_CA_ADDRESS", "heddle-operator.heddle-system.svc:443"))
        labels = try Self.labels(try text("HEDDLE_POD_LABELS", "{}"))
        do {
            probes = try AppProbe.parse(try text("HEDDLE_APP_PROBES", "{}"))
        } catch {
            throw Problem(description: "HEDDLE_APP_PROBES cannot be read: \(error)")
        }
        logLevel = try Self.level(try text("HEDDLE_LOG_LEVEL", "info"))
        drainSeconds = try number("HEDDLE_DRAIN_SECONDS", 5)
        certificateSeconds = try number("HEDDLE_CERTIFICATE_SECONDS", 24 * 3600)
    }

    /// The name in the workload's certificate.
    var identity: SPIFFEIdentity {
        get throws {
            try SPIFFEIdentity(trustDomain: trustDomain, namespace: namespace, serviceAccount: serviceAccount)
        }
    }

    /// Envoy's word for the log level; it is told one step less, since its "info" tells of every configuration change.
    var envoyLogLevel: String {
        switch logLevel {
        case .trace: "debug"
        case .debug: "info"
        case .info, .notice, .warning: "warning"
        case .error, .critical: "error"
        }
    }

    /// Parses `host:port`.
    static func address(_ text: String) throws -> SidecarBootstrap.Address {
        guard let colon = text.lastIndex(of: ":"), colon != text.startIndex,
            let port = Int(text[text.index(after: colon)...]), (1...65535).contains(port)
        else { throw Problem(description: "'\(text)' is no address of the form host:port") }
        return SidecarBootstrap.Address(host: String(text[..<colon]), port: port)
    }

    /// Reads labels from a JSON object, or from the downward API's lines `key="value"`.
    static func labels(_ text: String) throws -> [String: String] {
        if text.hasPrefix("{") {
            do {
                return try JSONDecoder().decode([String: String].self, from: Data(text.utf8))
            } catch {
                throw Problem(description: "HEDDLE_POD_LABELS is no JSON object of strings")
            }
        }
        var labels: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            guard let equals = line.firstIndex(of: "=") else {
                throw Problem(description: "HEDDLE_POD_LABELS: '\(line)' is no key=\"value\"")
            }
            // A label's value never contains a quote or a backslash.
            labels[String(line[..<equals])] = String(line[line.index(after: equals)...].filter { $0 != "\"" })
        }
        return labels
    }

    private static func level(_ text: String) throws -> Logger.Level {
        if text == "warn" { return .warning }
        guard let level = Logger.Level(rawValue: text.lowercased()) else {
            throw Problem(description: "HEDDLE_LOG_LEVEL='\(text)' is none of trace, debug, info, warn, error")
        }
        return level
    }
}
