"""A wheel for every Python 3 of one platform: what is compiled in it is libringc.so, which is none of Python's modules."""

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel


class OfOnePlatform(Distribution):
    def has_ext_modules(self):
        return True


class ForEveryPython(bdist_wheel):
    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


setup(distclass=OfOnePlatform, cmdclass={"bdist_wheel": ForEveryPython})
