import FoundationEssentials
package import KubeCore

/// A program that gives credentials, as a kubeconfig's `exec` names it (`client.authentication.k8s.io`).
package struct ExecPlugin: Sendable, Hashable, CustomStringConvertible {
    package enum Version: String, Sendable, CaseIterable {
        case v1 = "client.authentication.k8s.io/v1"
        case v1beta1 = "client.authentication.k8s.io/v1beta1"
    }

    package enum InteractiveMode: String, Sendable {
        case never = "Never"
        case ifAvailable = "IfAvailable"
        /// Fails where there is no terminal.
        case always = "Always"
    }

    /// File, context and field, for messages.
    package var origin: String
    package var version: Version
    /// A path, or a name that is sought in `environment`'s PATH.
    package var command: String
    package var arguments: [String]
    /// All that the program gets, but for `KUBERNETES_EXEC_INFO`.
    package var environment: [String: String]
    /// Told to the program as `spec.cluster`; nil when it did not ask for it.
    package var cluster: JSONValue?
    package var interactiveMode: InteractiveMode
    /// What a person should do when the program is not there.
    package var installHint: String?
    /// For one run without a terminal; with one, a person may have to type: five times as long.
    package var timeLimit: Duration = .seconds(60)

    /// Without the environment, which may hold secrets.
    package var description: String { "credential plugin \(command)" }

    /// What the program said.
    struct Answer: Equatable {
        var token: String?
        var certificate: ClientConfiguration.ClientCertificate?
        /// Nil: until the server refuses it.
        var expires: Date?
    }

    /// Runs the program and reads its answer.
    /// - Parameter hasTerminal: standard input is one.
    /// - Throws: `APIError` of code 0 and reason `Unauthorized`, with the program's own words and the install hint.
    func run(hasTerminal: Bool) async throws -> Answer {
        if interactiveMode == .always, !hasTerminal {
            throw failure("needs a terminal (interactiveMode Always), and there is none")
        }
        let isInteractive = hasTerminal && interactiveMode != .never
        guard let path = executable() else {
            throw failure("there is no executable \(command)" + (installHint.map { ". \($0)" } ?? ""))
        }
        var variables = environment
        variables["KUBERNETES_EXEC_INFO"] = information(isInteractive: isInteractive).serialized()
        let process = PluginProcess(
            executable: path, arguments: arguments, environment: variables, usesTerminal: isInteractive,
            timeLimit: isInteractive ? timeLimit * 5 : timeLimit)
        let outcome: PluginProcess.Outcome
        do {
            outcome = try await process.run()
        } catch let error as PluginProcess.Failure {
            throw failure(error.message)
        }
        guard outcome.isSuccess else {
            throw failure("\(outcome.ending)" + (outcome.complaints.isEmpty ? "" : ": \(outcome.complaints)"))
        }
        return try read(outcome.output)
    }

    /// `KUBERNETES_EXEC_INFO`.
    func information(isInteractive: Bool) -> JSONValue {
        var spec: JSONValue = ["interactive": .bool(isInteractive)]
        spec["cluster"] = cluster
        return ["apiVersion": .string(version.rawValue), "kind": "ExecCredential", "spec": spec]
    }

    func read(_ output: [UInt8]) throws -> Answer {
        let json: JSONValue
        do {
            json = try JSONValue.parse(output)
        } catch {
            throw failure("wrote what is not JSON: \(error)")
        }
        guard json["kind"] == "ExecCredential" else { throw failure("wrote no ExecCredential") }
        guard json["apiVersion"]?.string == version.rawValue else {
            throw failure(
                "answers with apiVersion \(json["apiVersion"]?.string ?? "none"), not \(version.rawValue) as configured"
            )
        }
        guard let status = json["status"], status.object != nil else { throw failure("answers without a status") }
        func text(_ name: String) -> String? { status[name]?.string.flatMap { $0.isEmpty ? nil : $0 } }
        var answer = Answer(token: text("token"))
        switch (text("clientCertificateData"), text("clientKeyData")) {
        case (let chain?, let key?): answer.certificate = .init(chain: Data(chain.utf8), key: Data(key.utf8))
        case (nil, nil):
            if answer.token == nil { throw failure("answers with neither a token nor a client certificate") }
        case (_?, nil): throw failure("answers with clientCertificateData without clientKeyData")
        case (nil, _?): throw failure("answers with clientKeyData without clientCertificateData")
        }
        if let expiry = text("expirationTimestamp") {
            guard let date = KubeTime.parse(expiry) else {
                throw failure("answers with an expirationTimestamp that is not RFC 3339: \(expiry)")
            }
            answer.expires = date
        }
        return answer
    }

    private func executable() -> String? {
        let manager = FileManager.default
        if command.contains("/") { return manager.isExecutableFile(atPath: command) ? command : nil }
        let directories = (environment["PATH"] ?? "").split(separator: ":")
        return directories.map { "\($0)/\(command)" }.first { manager.isExecutableFile(atPath: $0) }
    }

    private func failure(_ message: String) -> APIError {
        APIError(code: 0, reason: "Unauthorized", message: "\(origin): the credential plugin \(command) \(message)")
    }
}
