/// Why there is no usable configuration: the file, the context and the field, and what to do.
package struct ConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    package var file: String
    package var context: String?
    /// As in the kubeconfig, e.g. `users[dev].user.exec`.
    package var field: String?
    package var message: String

    package init(file: String, context: String? = nil, field: String? = nil, message: String) {
        self.file = file
        self.context = context
        self.field = field
        self.message = message
    }

    package var description: String {
        [file, context.map { "context \($0)" }, field, message].compactMap { $0 }.joined(separator: ": ")
    }
}
