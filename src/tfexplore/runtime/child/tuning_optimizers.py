"""Optimizers made of TensorFlow's own kernels for training, so that no Keras is needed.

Their slots are slot variables of checkpoints. The names of slots, of `iter` and `learning_rate` are those of
`tf.keras.optimizers.legacy`, and so are the formulas. A sparse gradient is made dense but for plain gradient descent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

import tensorflow as tf

from .serve import Refused

# What each takes, with its default; the first is the learning rate.
SETTINGS: dict[str, dict[str, Any]] = {
    "sgd": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
    "adam": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "adamw": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "weight_decay": 0.004},
    "adamax": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "nadam": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "adagrad": {"learning_rate": 0.001, "initial_accumulator_value": 0.1, "epsilon": 1e-7},
    "adadelta": {"learning_rate": 0.001, "rho": 0.95, "epsilon": 1e-7},
    "rmsprop": {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7},
    "ftrl": {"learning_rate": 0.001, "learning_rate_power": -0.5, "initial_accumulator_value": 0.1},
}
_SLOTS = {
    "adam": ("m", "v"), "adamw": ("m", "v"), "adamax": ("m", "v"), "nadam": ("m", "v"), "adagrad": ("accumulator",),
    "adadelta": ("accum_grad", "accum_var"), "ftrl": ("accumulator", "linear"), "rmsprop": ("rms", "momentum"),
}  # fmt: skip


class _Held:
    """What TensorFlow's tracking shall not look into."""

    def __init__(self) -> None:
        self.slots: dict[tuple[str, int], Any] = {}
        self.starts: dict[str, float] = {}


class Optimizer(tf.Module):  # type: ignore[misc]
    """One optimizer with its state.

    Args:
        kind: of `SETTINGS`.
        settings: in place of the defaults.
        variables: what it will update; they get their slots here.

    Raises:
        Refused: there is no such optimizer or setting.

    Attributes:
        iter: how many times it has been applied (int64).
        learning_rate: may be assigned to (float64).
    """

    def __init__(self, kind: str, settings: dict[str, Any], variables: Sequence[Any]) -> None:
        super().__init__(name=kind)
        if kind not in SETTINGS:
            raise Refused("wrong_input", f"there is no optimizer {kind}, only: {', '.join(SETTINGS)}")
        for name in settings:
            if name not in SETTINGS[kind]:
                raise Refused("wrong_input", f"the optimizer {kind} takes no {name}: {', '.join(SETTINGS[kind])}")
        self._kind = kind
        self._held = _Held()
        self._settings = _Held()
        self._settings.starts = {**SETTINGS[kind], **settings}
        self.iter = tf.Variable(0, dtype=tf.int64, trainable=False, name="iter")
        self.learning_rate = tf.Variable(
            float(self._get("learning_rate")), dtype=tf.float64, trainable=False, name="learning_rate"
        )
        names = _SLOTS.get(kind, ())
        if kind == "sgd" and self._get("momentum"):
            names = ("momentum",)
        if kind == "nadam":
            self.momentum_cache = tf.Variable(1.0, dtype=tf.float64, trainable=False, name="momentum_cache")
        start = self._settings.starts.get("initial_accumulator_value", 0.0)
        self._held.starts = {name: start if name == "accumulator" else 0.0 for name in names}
        for name in names:
            for variable in variables:
                self._held.slots[name, id(variable)] = tf.Variable(
                    self._start(name, variable), trainable=False, name=f"{variable.name.split(':')[0]}/{name}"
                )

    def _get(self, name: str) -> Any:
        return self._settings.starts[name]

    def _start(self, name: str, variable: Any) -> Any:
        return tf.fill(tf.shape(variable), tf.cast(self._held.starts[name], variable.dtype.base_dtype))

    @property
    def slots(self) -> list[Any]:
        """All slot variables."""
        return list(self._held.slots.values())

    def reset(self, variables: Sequence[Any]) -> None:
        """As new."""
        self.iter.assign(0)
        self.learning_rate.assign(float(self._get("learning_rate")))
        if self._kind == "nadam":
            self.momentum_cache.assign(1.0)
        for variable in variables:
            for name in self._held.starts:
                self._slot(name, variable).assign(self._start(name, variable))

    # What `tf.train.Checkpoint` asks of an optimizer.

    def get_slot_names(self) -> list[str]:
        """The names of its slots."""
        return list(self._held.starts)

    def get_slot(self, variable: Any, name: str) -> Any:
        """The slot of a variable; None where it has none."""
        return self._held.slots.get((name, id(variable)))

    def _create_or_restore_slot_variable(
        self, slot_variable_position: Any, slot_name: str, variable: Any, *_: Any, **__: Any
    ) -> None:
        slot = self.get_slot(variable, slot_name)
        if slot is not None:
            slot_variable_position.restore(slot)

    def _slot(self, name: str, variable: Any) -> Any:
        return self._held.slots[name, id(variable)]

    # -- one step --

    def apply(self, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
        """Updates the variables."""
        update: Callable[[Any, Any, Any], None] = getattr(self, f"_{self._kind}")
        if self._kind == "nadam":
            self._nadam_schedule()
        for gradient, variable in zip(gradients, variables):
            rate = tf.cast(self.learning_rate, variable.dtype.base_dtype)
            if isinstance(gradient, tf.IndexedSlices) and not (self._kind == "sgd" and not self._get("momentum")):
                gradient = tf.convert_to_tensor(gradient)
            update(variable, gradient, rate)
        self.iter.assign_add(1)

    def _as(self, name: str, variable: Any) -> Any:
        return tf.cast(self._get(name), variable.dtype.base_dtype)

    def _power(self, name: str, variable: Any) -> Any:
        step = tf.cast(self.iter + 1, tf.float64)
        return tf.cast(tf.pow(tf.constant(self._get(name), tf.float64), step), variable.dtype.base_dtype)

    def _sgd(self, variable: Any, gradient: Any, rate: Any) -> None:
        if self._get("momentum"):
            tf.raw_ops.ResourceApplyKerasMomentum(
                var=variable.handle, accum=self._slot("momentum", variable).handle, lr=rate, grad=gradient,
                momentum=self._as("momentum", variable), use_nesterov=bool(self._get("nesterov")),
            )  # fmt: skip
        elif isinstance(gradient, tf.IndexedSlices):
            tf.raw_ops.ResourceScatterSub(
                resource=variable.handle, indices=gradient.indices, updates=gradient.values * rate
            )
        else:
            tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=rate, delta=gradient)

    def _adam(self, variable: Any, gradient: Any, rate: Any) -> None:
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle, m=self._slot("m", variable).handle, v=self._slot("v", variable).handle,
            beta1_power=self._power("beta_1", variable), beta2_power=self._power("beta_2", variable), lr=rate,
            beta1=self._as("beta_1", variable), beta2=self._as("beta_2", variable),
            epsilon=self._as("epsilon", variable), grad=gradient,
        )  # fmt: skip

    def _adamw(self, variable: Any, gradient: Any, rate: Any) -> None:
        variable.assign_sub(variable * (rate * self._as("weight_decay", variable)))
        self._adam(variable, gradient, rate)

    def _adamax(self, variable: Any, gradient: Any, rate: Any) -> None:
        tf.raw_ops.ResourceApplyAdaMax(
            var=variable.handle, m=self._slot("m", variable).handle, v=self._slot("v", variable).handle,
            beta1_power=self._power("beta_1", variable), lr=rate, beta1=self._as("beta_1", variable),
            beta2=self._as("beta_2", variable), epsilon=self._as("epsilon", variable), grad=gradient,
        )  # fmt: skip

    def _momentum_at(self, step: Any) -> Any:
        return self._get("beta_1") * (1.0 - 0.5 * tf.pow(tf.constant(0.96, tf.float64), step))

    def _nadam_schedule(self) -> None:
        step = tf.cast(self.iter + 1, tf.float64)
        self.momentum_cache.assign(self.momentum_cache * self._momentum_at(step))

    def _nadam(self, variable: Any, gradient: Any, rate: Any) -> None:
        step = tf.cast(self.iter + 1, tf.float64)
        now, after = self._momentum_at(step), self._momentum_at(step + 1.0)
        beta_1, beta_2 = self._as("beta_1", variable), self._as("beta_2", variable)
        m, v = self._slot("m", variable), self._slot("v", variable)
        m.assign(beta_1 * m + (1 - beta_1) * gradient)
        v.assign(beta_2 * v + (1 - beta_2) * tf.square(gradient))
        first = tf.cast(after / (1.0 - self.momentum_cache * after), variable.dtype.base_dtype) * m
        first += tf.cast((1.0 - now) / (1.0 - self.momentum_cache), variable.dtype.base_dtype) * gradient
        second = v / (1 - self._power("beta_2", variable))
        variable.assign_sub(rate * first / (tf.sqrt(second) + self._as("epsilon", variable)))

    def _adagrad(self, variable: Any, gradient: Any, rate: Any) -> None:
        tf.raw_ops.ResourceApplyAdagradV2(
            var=variable.handle, accum=self._slot("accumulator", variable).handle, lr=rate,
            epsilon=self._as("epsilon", variable), grad=gradient,
        )  # fmt: skip

    def _adadelta(self, variable: Any, gradient: Any, rate: Any) -> None:
        tf.raw_ops.ResourceApplyAdadelta(
            var=variable.handle, accum=self._slot("accum_grad", variable).handle,
            accum_update=self._slot("accum_var", variable).handle, lr=rate, rho=self._as("rho", variable),
            epsilon=self._as("epsilon", variable), grad=gradient,
        )  # fmt: skip

    def _rmsprop(self, variable: Any, gradient: Any, rate: Any) -> None:
        rho, epsilon, rms = self._as("rho", variable), self._as("epsilon", variable), self._slot("rms", variable)
        tf.raw_ops.ResourceApplyRMSProp(
            var=variable.handle, ms=rms.handle, mom=self._slot("momentum", variable).handle, lr=rate, rho=rho,
            momentum=self._as("momentum", variable), epsilon=epsilon, grad=gradient,
        )  # fmt: skip

    def _ftrl(self, variable: Any, gradient: Any, rate: Any) -> None:
        zero = tf.zeros([], variable.dtype.base_dtype)
        tf.raw_ops.ResourceApplyFtrl(
            var=variable.handle, accum=self._slot("accumulator", variable).handle,
            linear=self._slot("linear", variable).handle, grad=gradient, lr=rate, l1=zero, l2=zero,
            lr_power=self._as("learning_rate_power", variable),
        )  # fmt: skip
