"""Seager et al. 2007, arXiv:0707.2895: one mass-radius law for solid planets of every material, once scaled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import polars as pl

from rung.arrays import Array
from rung.fitting import fit as fit_law
from rung.fitting import select
from rung.forecasting import forecast as forecast_run
from rung.papers.claims import FULL, Claim
from rung.papers.tables import Tables

_MATERIALS = {
    "Fe": (8300.0, 0.00349, 0.528),
    "MgSiO3": (4100.0, 0.00161, 0.541),
    "(Mg,Fe)SiO3": (4260.0, 0.00127, 0.549),
    "H2O": (1460.0, 0.00311, 0.513),
    "C": (2250.0, 0.00350, 0.514),
    "SiC": (3220.0, 0.00172, 0.537),
}
"""Modified polytropes rho = rho0 + c P^n in SI units: rho0, c, n."""

_GRAVITY, _EARTH_MASS, _EARTH_RADIUS = 6.674e-11, 5.972e24, 6.371e6
"""Gravitational constant, and mass and radius of the Earth, in SI units."""

_REPEATS = 100
"""Number of planted tables for the coverage of intervals."""

_PUBLISHED = {"k1": -0.20945, "k2": 0.0804, "k3": 0.394}
"""Published constants of the law."""

_INTEGRATED = {"k1": -0.2089, "k2": 0.0807, "k3": 0.3909}
"""Constants of the law for integrated iron planets."""

_RADII = {"Fe": 0.794, "MgSiO3": 1.026, "H2O": 1.41}
"""Published radii of planets of one Earth mass, in Earth radii."""


@cache
def _curve(power: float) -> tuple[Array, Array]:
    """Scaled masses and radii of a polytrope rho = 1 + P^n, for a range of central pressures.

    They are integrated from the centre to the surface, where P = 0:

        dP/dr = -m rho / r^2,  dm/dr = 4 pi r^2 rho
    """
    from scipy.integrate import solve_ivp

    masses, radii = [], []
    for centre in np.geomspace(1e-4, 2e3, 60):

        def slope(r: float, state: Array) -> list[float]:
            pressure, mass = max(state[0], 0.0), state[1]
            density = 1 + pressure**power
            return [-mass * density / r**2 if r > 0 else 0.0, 4 * np.pi * r**2 * density]

        def surface(_: float, state: Array) -> float:
            return float(state[0])

        surface.terminal = True  # type: ignore[attr-defined]
        start = 1e-6
        density = 1 + centre**power
        found = solve_ivp(
            slope, (start, 50.0), [centre, 4 / 3 * np.pi * density * start**3], events=surface, rtol=1e-9, atol=1e-12
        )
        masses.append(float(found.y[1, -1]))
        radii.append(float(found.t[-1]))
    return np.array(masses), np.array(radii)


def _scales(material: str) -> tuple[float, float]:
    """Mass and radius by which a material is scaled, in those of the Earth.

    With P1 = (rho0 / c)^(1 / n) the radius is sqrt(P1 / (G rho0^2)), and the mass is radius^3 rho0.
    """
    density, constant, power = _MATERIALS[material]
    pressure = (density / constant) ** (1 / power)
    radius = np.sqrt(pressure / (_GRAVITY * density**2))
    return float(radius**3 * density / _EARTH_MASS), float(radius / _EARTH_RADIUS)


def _radius(material: str, mass: float) -> float:
    """Radius of a planet, in Earth radii, from its mass in Earth masses."""
    mass_scale, radius_scale = _scales(material)
    masses, radii = _curve(_MATERIALS[material][2])
    return float(np.exp(np.interp(np.log(mass / mass_scale), np.log(masses), np.log(radii))) * radius_scale)


def _scaled_radius(material: str, mass: float) -> float:
    """Scaled radius of a planet, from its scaled mass."""
    return float(np.interp(mass, *_curve(_MATERIALS[material][2])))


def check(tables: Tables) -> list[Claim]:
    """Integrated planets: constants, the common curve, and extrapolation of the right and of a wrong form."""
    del tables
    masses, radii = _curve(0.528)
    inside = (masses >= 1e-3) & (masses <= 4)
    runs = pl.DataFrame({"mass": masses[inside], "radius": radii[inside]})
    fit = fit_law(runs, "seager-2007", target="radius", objective="log-squares", draws=0)
    off = max(abs(fit.values[name] / value - 1) for name, value in _INTEGRATED.items())
    before = max(_largest_difference(partial(_radius, mass=mass)) for mass in (0.3, 1.0, 3.0, 10.0))
    after = max(_largest_difference(partial(_scaled_radius, mass=mass)) for mass in (0.01, 0.1, 0.5))
    measured = {material: _radius(material, 1.0) for material in _RADII}
    return [
        Claim(
            what="integrated iron planets give the constants of the law",
            published=", ".join(f"{name} {value}" for name, value in _PUBLISHED.items()),
            measured=", ".join(f"{name} {value:.4f}" for name, value in fit.values.items())
            + f"; within {100 * off:.1f} % of those of the integration",
            scale=FULL,
            held=off <= 0.02,
        ),
        Claim(
            what="once scaled, six materials follow one curve",
            asked="below 1 % (77.8 % before)",
            measured=f"{100 * after:.2f} % after, {100 * before:.1f} % before",
            scale=FULL,
            held=after < 0.01 < before,
        ),
        Claim(
            what="radii of planets of one Earth mass",
            published=", ".join(f"{material} {value}" for material, value in _RADII.items()),
            measured=", ".join(f"{material} {value:.3f}" for material, value in measured.items()),
            scale=FULL,
            held=all(abs(measured[material] / value - 1) < 0.01 for material, value in _RADII.items()),
        ),
        *_extrapolated(masses, radii),
    ]


def _largest_difference(radius: Callable[[str], float]) -> float:
    """Largest over smallest radius of the materials, less one."""
    found = [radius(material) for material in _MATERIALS]
    return float(max(found) / min(found) - 1)


def _extrapolated(masses: Array, radii: Array) -> list[Claim]:
    exact = float(np.exp(np.interp(np.log(4.0), np.log(masses), np.log(radii))))
    low = (masses >= 1e-3) & (masses < 0.3)
    light = pl.DataFrame({"mass": masses[low], "radius": radii[low]})
    power = fit_law(light, "A * mass^b", target="radius", objective="log-squares", draws=0)
    over = float(power.law.value(power.values, {"mass": 4.0})) / exact - 1
    chosen = select(
        light.with_columns(
            radius=pl.col("radius") * pl.Series(np.exp(0.001 * np.random.default_rng(0).standard_normal(len(light))))
        ),
        ["seager-2007", "A * mass^b"],
        target="radius",
        objective="log-squares",
    )
    covered = 0
    under = (masses >= 1e-3) & (masses <= 1.0)
    for seed in range(_REPEATS):
        noise = np.exp(0.005 * np.random.default_rng(seed).standard_normal(int(under.sum())))
        runs = pl.DataFrame({"mass": masses[under], "radius": radii[under] * noise})
        fit = fit_law(runs, "seager-2007", target="radius", objective="log-squares", draws=0)
        lower, upper = forecast_run(fit, mass=4.0).law_interval
        covered += lower is not None and upper is not None and lower <= exact <= upper
    return [
        Claim(
            what="a single power law fitted to light planets overestimates the radius of heavy ones",
            asked="23 % at a scaled mass of 4",
            measured=f"{100 * over:.0f} %",
            scale=FULL,
            held=over > 0.15,
        ),
        Claim(
            what="the selection prefers the form with three constants",
            asked="seager-2007",
            measured=chosen.chosen,
            scale=FULL,
            held=chosen.chosen == "seager-2007",
        ),
        Claim(
            what="90 % intervals from masses up to 1, with 0.5 % noise, contain the curve at 4",
            asked=f"84 to 96 % of {_REPEATS}",
            measured=f"{100 * covered / _REPEATS:.0f} %",
            scale=FULL,
            held=0.84 <= covered / _REPEATS <= 0.96,
        ),
    ]
